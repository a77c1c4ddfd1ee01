"""Text to token ids, faster than the tokenizer's own `encode_batch` and with the same ids.

Most of a byte-level BPE tokenizer's time goes into finding words and keeping track of where each came from; the words
themselves are few. So the words are found with Python's `re`, and each is encoded once and looked up from then on:
about three times the speed on source code. That is only done where it is exact: for the word patterns listed here and
for text whose characters every version of Unicode puts in the same class. Everything else goes to the tokenizer.

This module imports neither torch nor transformers: the processes that tokenize import nothing else.
"""

import json
import re

import numpy as np
from tokenizers import Tokenizer

from hf_strategies.data.bases import BASES, SPELLINGS

# One word of source code or prose. As in GPT-4's pattern a letter run takes the space or sign before it and digits
# come in threes; here punctuation also takes the line end and the indentation behind it, except for the one space that
# belongs to the next word. 6% fewer tokens on Python source, the same number on prose.
CODE_AND_PROSE = (
    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+(?:\s*[\r\n]+(?:[ \t]+(?=[ \t]))?)?"
    r"|\s*[\r\n]+(?:[ \t]+(?=[ \t]))?|\s+(?!\S)|\s+"
)
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
WORD_PATTERNS = (CODE_AND_PROSE, GPT2, LLAMA3, QWEN2)

# Latin-1 and the dashes, quotes and dots of typeset prose. Nothing here is changed by NFC or folds to an ASCII letter.
SETTLED = re.compile("[\x00-\xff\u2010-\u2027\u2030-\u205e\u20ac\u2122]*")
CLASSES = {
    r"\p{L}": "A-Za-z\xaa\xb5\xba\xc0-\xd6\xd8-\xf6\xf8-\xff",
    r"\p{N}": "0-9\xb2\xb3\xb9\xbc-\xbe",
    r"\s": "\t-\r \x85\xa0",
}

REMEMBERED_WORDS = 1 << 20  # about 200 MB; the table starts afresh when it is full
LONGEST_REMEMBERED = 64  # characters; a word of a megabyte comes once, and would fill the memory


class TextEncoder:
    """Encodes texts to token ids as `tokenizer(text, add_special_tokens=False)` does.

    With one difference: a special token's name inside a text is text, since a document cannot end itself.

    Args:
        tokenizer_json: The whole tokenizer (`tokenizer.backend_tokenizer.to_str()`).
        dtype: Integer type of the ids.
    """

    def __init__(self, tokenizer_json: str, dtype: type) -> None:
        self.dtype = dtype
        self.tokenizer = Tokenizer.from_str(tokenizer_json)
        self.tokenizer.encode_special_tokens = True
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        spec = json.loads(tokenizer_json)
        pattern = word_pattern(spec)
        self.words = None if pattern is None else _WordTable(self.tokenizer, pattern, dtype)
        self.bases = base_ids(spec, dtype)

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        """Return the ids of each text; `[tokens]` each."""
        if self.bases is not None:
            return [self.bases[np.frombuffer(text.encode("ascii", "replace"), np.uint8)] for text in texts]
        encoded: dict[int, np.ndarray] = {}
        if self.words is not None:
            encoded = {i: self.words.encode(text) for i, text in enumerate(texts) if SETTLED.fullmatch(text)}
        rest = [i for i in range(len(texts)) if i not in encoded]
        by_tokenizer = self.tokenizer.encode_batch_fast([texts[i] for i in rest], add_special_tokens=False)
        for i, encoding in zip(rest, by_tokenizer):
            encoded[i] = np.array(encoding.ids, dtype=self.dtype)
        return [encoded[i] for i in range(len(texts))]


def word_pattern(spec: dict) -> str | None:
    """Return the pattern that cuts a text into words that are encoded independently, or None where it is not known.

    Args:
        spec: A tokenizer's JSON.
    """
    model, normalizer = spec["model"], spec.get("normalizer")
    if model["type"] != "BPE" or model.get("dropout") or model.get("byte_fallback"):
        return None
    if normalizer not in (None, {"type": "NFC"}) or not all(token["special"] for token in spec["added_tokens"]):
        return None
    steps = spec.get("pre_tokenizer") or {}
    steps = steps.get("pretokenizers", [steps])
    if not steps or steps[-1].get("type") != "ByteLevel" or steps[-1]["add_prefix_space"]:
        return None
    if len(steps) == 1 and steps[0]["use_regex"]:
        return GPT2
    if len(steps) != 2 or steps[1]["use_regex"] or steps[0].get("behavior") != "Isolated" or steps[0].get("invert"):
        return None
    pattern = steps[0]["pattern"].get("Regex")
    return pattern if pattern in WORD_PATTERNS else None


def base_ids(spec: dict, dtype: type) -> np.ndarray | None:
    """Return the id of every ASCII letter to a tokenizer of bases (see `train_tokenizer`), None for any other.

    Args:
        spec: A tokenizer's JSON.
        dtype: Integer type of the ids.

    Returns:
        Ids by code point; what is no base is an N. `[128]`
    """
    model = spec["model"]
    special = {token["content"] for token in spec["added_tokens"]}
    if model["type"] != "BPE" or set(model["vocab"]) - special != set(BASES) or spec.get("pre_tokenizer"):
        return None
    return np.array([model["vocab"][SPELLINGS.get(chr(code), "N")] for code in range(128)], dtype=dtype)


def settled_regex(pattern: str) -> re.Pattern[str]:
    """Translate a word pattern to Python's `re`, its character classes spelled out over the settled characters."""

    def spell_out(part: re.Match[str]) -> str:
        text = part.group()
        if text == r"\S":
            return f"[^{CLASSES[chr(92) + 's']}]"
        for name, members in CLASSES.items():
            text = text.replace(name, members)
        return text if text.startswith("[") else f"[{text}]"

    return re.compile(re.sub(r"\[[^\]]*\]|\\p\{[LN]\}|\\[sS]", spell_out, pattern), re.ASCII)


class _WordTable(dict[str, bytes]):
    """Word to the bytes of its ids, filled as words are met."""

    def __init__(self, tokenizer: Tokenizer, pattern: str, dtype: type) -> None:
        super().__init__()
        self.find_words = settled_regex(pattern).findall
        self.model = tokenizer.model
        self.dtype = dtype

    def __missing__(self, word: str) -> bytes:
        ids = [token.id for token in self.model.tokenize(word.encode().decode("latin-1").translate(BYTE_LETTERS))]
        encoded = np.array(ids, dtype=self.dtype).tobytes()
        if len(word) <= LONGEST_REMEMBERED:
            self[word] = encoded
        return encoded

    def encode(self, text: str) -> np.ndarray:
        if len(self) > REMEMBERED_WORDS:
            self.clear()
        return np.frombuffer(b"".join(map(self.__getitem__, self.find_words(text))), dtype=self.dtype)


def _byte_letters() -> dict[int, str]:
    """The letter that stands for each byte in a byte-level vocabulary: itself if it prints, else U+0100 and on."""
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printing]
    return {byte: chr(byte) for byte in printing} | {byte: chr(0x100 + i) for i, byte in enumerate(others)}


BYTE_LETTERS = _byte_letters()
