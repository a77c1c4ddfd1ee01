"""Texts of rows: what is wrong with one, what tells rows apart, and how many are longer than a model is shown."""

from collections.abc import Callable, Sequence
from typing import Any

from hf_strategies.data.labelled import Row

ROWS_AT_ONCE = 1000


def problem_of_text(row: Row, fields: Sequence[str]) -> str:
    """Say what is wrong with a row's texts; nothing where each says something."""
    for name in fields:
        if not isinstance(row[name], str):
            return f"{name!r} is not a text"
        if not row[name].strip():
            return f"{name!r} is empty"
        if not row[name].isascii() and any("\ud800" <= character <= "\udfff" for character in row[name]):
            return f"{name!r} holds half a character (a lone surrogate)"
    return ""


def content_of(row: Row, fields: Sequence[str]) -> str:
    """Join a row's texts: rows with the same ones are copies, whatever their labels."""
    return "\x1f".join(row[name] for name in fields)


def count_cut(texts: list, encode: Callable[[list], Any], length: int, *, what: str) -> list[str]:
    """Say how many texts lose their end; nothing where none does.

    Args:
        texts: As `encode` takes them.
        encode: The tokenizer, with what it needs to encode some texts without cutting them.
        length: Tokens that are kept.
        what: Whose texts they are, in words.
    """
    starts = range(0, len(texts), ROWS_AT_ONCE)
    tokens = (ids for start in starts for ids in encode(texts[start : start + ROWS_AT_ONCE])["input_ids"])
    longer = sum(len(ids) > length for ids in tokens)
    return [f"{longer:,} of {len(texts):,} {what} are longer than {length} tokens and are cut"] if longer else []
