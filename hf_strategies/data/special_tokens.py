"""What an objective needs of a tokenizer besides its words: the tokens that stand around a text, masks, sentinels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hf_strategies.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SENTINEL = "<extra_id_{}>"  # T5's name for the mark of span number {}


def affixes(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the tokens that the tokenizer puts before and behind a text: BERT's [CLS] and [SEP]."""
    framed, bare = (tokenizer("a", add_special_tokens=framed).input_ids for framed in (True, False))
    begin = next(place for place in range(len(framed)) if framed[place : place + len(bare)] == bare)
    return framed[:begin], framed[begin + len(bare) :]


def ordinary_tokens(tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Return the tokens that stand for text. `[any]`, rising"""
    return np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)


def padding(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the padding, or any token where there is none: it is neither seen nor predicted."""
    return 0 if tokenizer.pad_token_id is None else tokenizer.pad_token_id


def mask_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the mask.

    Raises:
        UserError: There is none.
    """
    if tokenizer.mask_token_id is None:
        raise UserError(
            f"objective masked needs a mask token, and {_name(tokenizer)} has none: take the "
            "tokenizer of an encoder, or train one here (tokenizer: bpe)"
        )
    return tokenizer.mask_token_id


def sentinels(tokenizer: PreTrainedTokenizerBase, count: int) -> list[int]:
    """Return the marks of the first `count` spans.

    Raises:
        UserError: There are fewer.
    """
    vocabulary = tokenizer.get_vocab()
    names = map(SENTINEL.format, range(count))
    found = [vocabulary[name] for name in names if name in vocabulary]
    if not found:
        raise UserError(
            f"objective span needs sentinels ({SENTINEL.format(0)}, ...), and {_name(tokenizer)} has none: take the "
            "tokenizer of a T5, or train one here (tokenizer: bpe)"
        )
    if len(found) < count:
        raise UserError(
            f"an example of objective span has up to {count} spans, and {_name(tokenizer)} {len(found)} sentinels: "
            "choose a smaller max_seq_length, or longer spans (mean_span_length)"
        )
    return found


def _name(tokenizer: PreTrainedTokenizerBase) -> str:
    return f"the tokenizer {tokenizer.name_or_path or type(tokenizer).__name__}"
