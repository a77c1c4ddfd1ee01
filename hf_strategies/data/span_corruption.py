"""T5's span corruption: an encoder reads a text with gaps, and a decoder writes what stood in them.

Paper: https://arxiv.org/abs/1910.10683 (section 3.3.4; 15% of the tokens, in spans of 3). Lengths are those
of its authors' code: how many tokens and spans are noise follows from a block's length alone, so that every example
has the same shape; what is drawn is how the noise, and what is kept, divide into spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hf_strategies.data.framing import Framing
from hf_strategies.data.special_tokens import padding, sentinels
from hf_strategies.errors import UserError
from hf_strategies.metrics.language_modeling import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Noise(NamedTuple):
    """How much of a text is noise: its tokens, and the spans that they make up."""

    tokens: int
    spans: int


def noise_of(length: int, rate: float, mean_span_length: float) -> Noise:
    """Count the noise in a text of `length` tokens; at least one token of two is noise, and one is kept."""
    tokens = min(max(round(length * rate), 1), length - 1)
    return Noise(tokens, min(max(round(tokens / mean_span_length), 1), tokens, length - tokens))


def tokens_that_fill(inputs_length: int, rate: float, mean_span_length: float) -> int:
    """Return the longest text whose corrupted form, one sentinel per span and an end, fits `inputs_length` tokens.

    Raises:
        UserError: Not even two tokens do.
    """

    def corrupted(length: int) -> int:
        noise = noise_of(length, rate, mean_span_length)
        return length - noise.tokens + noise.spans + 1

    length = 2
    if corrupted(length) > inputs_length:
        raise UserError(f"max_seq_length must be at least {corrupted(length)} for objective span, got {inputs_length}")
    while corrupted(length + 1) <= inputs_length:
        length += 1
    return length


def random_lengths(total: int, parts: int, generator: np.random.Generator) -> np.ndarray:
    """Divide `total` into `parts` lengths of at least 1, each division as likely as any other. `[parts]`"""
    cuts = np.sort(generator.choice(total - 1, size=parts - 1, replace=False)) + 1
    return np.diff([0, *cuts, total])


def corrupt(ids: np.ndarray, kept: np.ndarray, noise: np.ndarray, marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide a text into what is kept, each piece with the mark of the gap behind it, and into what stood in the gaps.

    Args:
        ids: The text. `[tokens]`
        kept: Lengths of the pieces that are kept; the text begins with the first. `[spans]`
        noise: Lengths of the gaps behind them. `[spans]`
        marks: One sentinel per gap. `[spans]`

    Returns:
        piece, mark, piece, mark, ..., and mark, gap, mark, gap, ...
    """
    is_noise = np.repeat(np.tile([False, True], len(kept)), np.stack([kept, noise], axis=1).ravel())
    inputs = np.insert(ids[~is_noise], np.cumsum(kept), marks)
    targets = np.insert(ids[is_noise], np.cumsum(noise) - noise, marks)
    return inputs, targets


@dataclass(frozen=True, kw_only=True)
class SpanCorruption:
    """Makes examples of blocks of tokens: what an encoder reads, and what a decoder writes, both ended and filled up.

    Args:
        tokens_per_block: Tokens of text in an example: 568 where the encoder reads 512.
        inputs_length: Tokens that the encoder reads.
        targets_length: Tokens that the decoder writes: 114 then.
        rate: Share of a text's tokens that is noise.
        mean_span_length: Of the noise, in tokens.
        sentinels: Marks of the spans, in their order. `[spans]` of a whole block
        eos_token_id, pad_token_id: Special tokens.
    """

    tokens_per_block: int
    inputs_length: int
    targets_length: int
    rate: float
    mean_span_length: float
    sentinels: np.ndarray
    eos_token_id: int
    pad_token_id: int

    def __call__(self, ids: np.ndarray, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Return `input_ids` and `attention_mask` `[inputs_length]`, and `labels` `[targets_length]`, -100 at the end.

        A single token, which a corpus may end with, has nothing to be hidden from: it stays.
        """
        ids = ids.astype(np.int64)
        inputs, targets = ids, ids[:0]
        if len(ids) > 1:
            noise = noise_of(len(ids), self.rate, self.mean_span_length)
            hidden = random_lengths(noise.tokens, noise.spans, generator)
            kept = random_lengths(len(ids) - noise.tokens, noise.spans, generator)
            inputs, targets = corrupt(ids, kept, hidden, self.sentinels[: noise.spans])
        return {
            "input_ids": _fill([*inputs, self.eos_token_id], self.inputs_length, self.pad_token_id),
            "attention_mask": _fill([1] * (len(inputs) + 1), self.inputs_length, 0),
            "labels": _fill([*targets, self.eos_token_id], self.targets_length, IGNORED),
        }


def _fill(values: Sequence[int], length: int, filler: int) -> np.ndarray:
    filled = np.full(length, filler, dtype=np.int64)
    filled[: len(values)] = values
    return filled


def span_corruption(
    tokenizer: PreTrainedTokenizerBase, inputs_length: int, *, rate: float = 0.15, mean_span_length: float = 3.0
) -> SpanCorruption:
    """Hide spans of a text behind sentinels; the encoder reads `max_seq_length` tokens.

    Args:
        tokenizer: Its sentinels and its end of text are used.
        inputs_length: Tokens that the encoder reads.
        rate: Share of the tokens that is hidden, in (0, 1).
        mean_span_length: Tokens per span, at least 1.

    Raises:
        UserError: The tokenizer has too few sentinels, or the length holds no text.
    """
    length = tokens_that_fill(inputs_length, rate, mean_span_length)
    noise = noise_of(length, rate, mean_span_length)
    return SpanCorruption(
        tokens_per_block=length,
        inputs_length=inputs_length,
        targets_length=noise.tokens + noise.spans + 1,
        rate=rate,
        mean_span_length=mean_span_length,
        sentinels=np.array(sentinels(tokenizer, noise.spans)),
        eos_token_id=Framing.of(tokenizer).eos_token_id,
        pad_token_id=padding(tokenizer),
    )
