"""Which tokens make up one word, for any tokenizer, from its vocabulary alone.

A stream of tokens has no text beside it. WordPiece marks the tokens that go on a word (##ing); any other tokenizer
(byte-level BPE, SentencePiece, bytes, characters) gives tokens that spell themselves, and two neighbours belong to one
word where a letter or digit ends the first and begins the second; a space belongs to the word behind it. In scripts
that do not separate words, a word is whatever stands between two signs.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_strategies.data.encoding import BYTE_LETTERS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LETTER_BYTES = {ord(letter): byte for byte, letter in BYTE_LETTERS.items()}
BYTE_NAME = re.compile(r"<0x([0-9A-F]{2})>")
SPACES = (" ", "\u2581")  # SentencePiece writes the second
PART_OF_A_CHARACTER = "\ufffd"  # what its bytes are decoded to; most characters of several bytes are letters


@dataclass(frozen=True)
class WordBoundaries:
    """Which tokens of a vocabulary go on the word before them, and which let a word go on behind them.

    Args:
        goes_on: The token may belong to the word before it. `[vocabulary]`, bool
        can_be_gone_on: The token may be followed by the rest of its word. `[vocabulary]`, bool
    """

    goes_on: np.ndarray
    can_be_gone_on: np.ndarray

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> WordBoundaries:
        """Read them off a tokenizer's vocabulary; special tokens stand alone."""
        spec = json.loads(tokenizer.backend_tokenizer.to_str())
        tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        if spec["model"]["type"] == "WordPiece":
            prefix = spec["model"]["continuing_subword_prefix"]
            goes_on, can_be_gone_on = [token.startswith(prefix) for token in tokens], [True] * len(tokens)
        else:
            texts = [_spelt(token, _decoders(spec)).decode("utf-8", "replace") for token in tokens]
            goes_on = [_is_of_a_word(text[:1]) for text in texts]
            can_be_gone_on = [_is_of_a_word(text[-1:]) or text.endswith(SPACES) for text in texts]
        ordinary = np.ones(len(tokens), dtype=bool)
        ordinary[tokenizer.all_special_ids] = False
        return cls(np.array(goes_on) & ordinary, np.array(can_be_gone_on) & ordinary)

    def number_words(self, ids: np.ndarray) -> np.ndarray:
        """Return the number of the word that each token belongs to, from 0, rising. `[tokens]`"""
        starts = ~(self.goes_on[ids[1:]] & self.can_be_gone_on[ids[:-1]])
        return np.concatenate([[0], np.cumsum(starts)])


def _decoders(spec: dict[str, Any]) -> set[str]:
    decoder = spec.get("decoder") or {}
    return {step.get("type", "") for step in decoder.get("decoders", [decoder])}


def _spelt(token: str, decoders: set[str]) -> bytes:
    """Return the bytes of UTF-8 that a token stands for."""
    if "ByteLevel" in decoders and all(ord(letter) in LETTER_BYTES for letter in token):
        return bytes(LETTER_BYTES[ord(letter)] for letter in token)
    if "ByteFallback" in decoders and (name := BYTE_NAME.fullmatch(token)):
        return bytes([int(name[1], 16)])
    return token.encode()


def _is_of_a_word(char: str) -> bool:
    return char.isalnum() or char == PART_OF_A_CHARACTER
