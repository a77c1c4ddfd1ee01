"""The letters of DNA: how a file may spell them, what each becomes, and what stands on the other strand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hf_strategies.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BASES = "ACGTN"  # N: any of them
AMBIGUOUS = "RYSWKMBDHV"  # IUPAC's codes for two or three of them, which become N
STRAND = str.maketrans("ACGT", "TGCA")  # N stays N

_SPELLINGS = {letter: letter if letter in BASES else "N" for letter in BASES + AMBIGUOUS}
SPELLINGS = {**_SPELLINGS, **{letter.lower(): base for letter, base in _SPELLINGS.items()}}
EXPECTED = f"the bases {' '.join(BASES)}, or IUPAC's {AMBIGUOUS}"


def reverse_complement(bases: str) -> str:
    """Return what the other strand says, read in its own direction; only A, C, G, T and N have a partner."""
    return bases.translate(STRAND)[::-1]


def complements(tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Return each token's partner on the other strand by id; special tokens are their own. `[tokens]`, int64

    Raises:
        UserError: The tokenizer's tokens are not single bases.
    """
    vocabulary = tokenizer.get_vocab()
    ordinary = set(vocabulary) - set(tokenizer.all_special_tokens)
    if ordinary != set(BASES):
        raise UserError("reverse_complement needs a token for each base: set tokenizer to bases")
    partners = np.arange(max(vocabulary.values()) + 1)
    for base in BASES:
        partners[vocabulary[base]] = vocabulary[reverse_complement(base)]
    return partners
