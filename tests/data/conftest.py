from pathlib import Path

import pytest

from hf_strategies.data.tokenizers import train_tokenizer

# Code, line ends of all kinds, controls, accents composed and not, scripts, emoji, and what looks like tokens.
ODD_TEXT = (
    "def f(x):\r\n\treturn x  # na\u00efve\x0b\x0c\x85\u2028 e\u0301 \ufb01 \u212a \u017f\n\n\n"
    "    \u65e5\u672c\u8a9e \U0001f600 <0x41> <|endoftext|> 's 'S 'RE 12345 \u00bd\u00b2 \x00\u200b\xa0x   "
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> Path:
    """Every test prepares its data in a cache of its own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("HF_STRATEGIES_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def bytes_tokenizer():
    """One token per byte, so that counts can be done in the head: the token of byte b is b + 1, EOS is 0."""
    return train_tokenizer("bytes", [])


@pytest.fixture
def odd_text() -> str:
    return ODD_TEXT
