"""BERT's masking: some tokens are hidden, and the model says what they were.

Papers: https://arxiv.org/abs/1810.04805 (section 3.1: 15% of the tokens, of these 80% become the mask, 10% any token,
10% stay); whole words as its authors' code masks them since 2019: a word's tokens are hidden together, the share is of
tokens, and what becomes of each is drawn for itself. https://arxiv.org/abs/2202.08005 finds 40% better for larger
models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hf_strategies.data.special_tokens import affixes, mask_token, ordinary_tokens, padding
from hf_strategies.data.word_boundaries import WordBoundaries
from hf_strategies.metrics.language_modeling import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MASKED, SWAPPED = 0.8, 0.1  # of the chosen tokens; the others stay as they are


def choose_words(words: np.ndarray, rate: float, generator: np.random.Generator) -> np.ndarray:
    """Choose words at random until they make up a share of the tokens.

    A word that would exceed the share is passed over; where no word fits, the first that was drawn is chosen alone.

    Args:
        words: Number of the word that each token belongs to, from 0; -1 for tokens that are never chosen. `[tokens]`
        rate: Share of the tokens that may be chosen, in (0, 1); rounded, and one token at least.
        generator: Draws an order of the words.

    Returns:
        Which tokens are chosen. `[tokens]`, bool
    """
    lengths = np.bincount(words[words >= 0])
    left = max(1, round(rate * int(lengths.sum())))
    order = generator.permutation(np.flatnonzero(lengths))
    chosen = []
    for word, length in zip(order.tolist(), lengths[order].tolist()):
        if length <= left:
            chosen.append(word)
            left -= length
        if not left:
            break
    return np.isin(words, chosen or order[:1])


def hide(
    ids: np.ndarray, chosen: np.ndarray, mask: int, others: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Hide chosen tokens: most behind the mask, some behind any other token, and some not at all.

    Args:
        ids: `[tokens]`
        chosen: `[tokens]`, bool
        mask: The mask's token.
        others: Tokens to draw from. `[any]`
        generator: Draws what becomes of each.

    Returns:
        What the model sees. `[tokens]`
    """
    places = np.flatnonzero(chosen)
    fate = generator.random(len(places))
    seen = ids.copy()
    seen[places[fate < MASKED]] = mask
    swapped = places[fate >= 1.0 - SWAPPED]
    seen[swapped] = generator.choice(others, size=len(swapped))
    return seen


@dataclass(frozen=True, kw_only=True)
class TokenMasking:
    """Makes examples of blocks of tokens: framed as the tokenizer frames a text, masked, and filled with padding.

    Args:
        inputs_length: Tokens of an example.
        rate: Share of the tokens that are predicted.
        before, after: Special tokens around every text.
        mask_token_id, pad_token_id: Special tokens.
        ordinary: The tokens that are not special. `[any]`
        boundaries: Where words begin; None masks tokens for themselves.
    """

    inputs_length: int
    rate: float
    before: list[int]
    after: list[int]
    mask_token_id: int
    pad_token_id: int
    ordinary: np.ndarray
    boundaries: WordBoundaries | None

    @property
    def tokens_per_block(self) -> int:
        """Tokens of text in an example."""
        return self.inputs_length - len(self.before) - len(self.after)

    def __call__(self, ids: np.ndarray, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Return `input_ids`, `attention_mask` and `labels` (-100 where nothing is hidden). `[inputs_length]` each"""
        ids = ids.astype(np.int64)
        words = np.arange(len(ids)) if self.boundaries is None else self.boundaries.number_words(ids)
        chosen = choose_words(np.where(np.isin(ids, self.ordinary), words, -1), self.rate, generator)
        seen = hide(ids, chosen, self.mask_token_id, self.ordinary, generator)
        text = slice(len(self.before), len(self.before) + len(ids))
        end = text.stop + len(self.after)
        example = {
            "input_ids": np.full(self.inputs_length, self.pad_token_id),
            "attention_mask": np.zeros(self.inputs_length, dtype=np.int64),
            "labels": np.full(self.inputs_length, IGNORED),
        }
        example["input_ids"][:end] = [*self.before, *seen, *self.after]
        example["attention_mask"][:end] = 1
        example["labels"][text] = np.where(chosen, ids, IGNORED)
        return example


def token_masking(
    tokenizer: PreTrainedTokenizerBase, inputs_length: int, *, rate: float = 0.15, whole_words: bool = False
) -> TokenMasking:
    """Hide tokens of a text, which an encoder then names.

    Args:
        tokenizer: Its mask, and what it puts around a text, are used.
        inputs_length: Tokens that the encoder reads.
        rate: Share of the tokens that is predicted, in (0, 1).
        whole_words: Hide the tokens of a word together.

    Raises:
        UserError: The tokenizer has no mask.
    """
    before, after = affixes(tokenizer)
    return TokenMasking(
        inputs_length=inputs_length,
        rate=rate,
        before=before,
        after=after,
        mask_token_id=mask_token(tokenizer),
        pad_token_id=padding(tokenizer),
        ordinary=ordinary_tokens(tokenizer),
        boundaries=WordBoundaries.of(tokenizer) if whole_words else None,
    )
