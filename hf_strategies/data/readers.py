"""Texts of files: each format becomes (row, text) pairs, where text may be a `Broken` reason."""

from collections.abc import Iterator
from pathlib import Path

from hf_strategies.data.records import (
    TABLE_READERS,
    Broken,
    Line,
    decoded_lines,
    format_suffix,
    naming,
    read_records,
    whole_text,
)


def read_file(path: Path, text_column: str) -> Iterator[Line]:
    """Yield the texts of a file in the format that its suffix names, with or without .gz or .zst behind it.

    Args:
        path: The file; a suffix that names no format makes it one document as it is.
        text_column: Column or JSON key that holds the text; a null is an empty text.

    Raises:
        BinaryFileError: The file is no text.
        UserError: The file cannot be read, is damaged, is not UTF-8, or has no such column.
    """
    suffix = format_suffix(path)
    if suffix in TABLE_READERS:
        for row, record in read_records(path, [text_column]):
            yield row, record if isinstance(record, Broken) else text_of(record[text_column], text_column)
        return
    with naming(path):
        if suffix == ".txt":
            yield from _read_text(path)
        else:
            yield 1, whole_text(path)


def is_one_document(path: Path) -> bool:
    """Tell whether the file as a whole is one document, as source files are."""
    return format_suffix(path) not in (".txt", *TABLE_READERS)


def text_of(value: object, text_column: str) -> str | Broken:
    """Return the text in a column; a null is an empty text, anything else but a text is broken."""
    if value is None:
        return ""
    return value if isinstance(value, str) else Broken(f"{text_column!r} is not a text")


def _read_text(path: Path) -> Iterator[Line]:
    """A blank line ends a document; its row is that of its first line."""
    paragraph: list[str] = []
    start = 1
    for row, line in decoded_lines(path):
        if isinstance(line, Broken):
            yield row, line
        elif line.strip():
            if not paragraph:
                start = row
            paragraph.append(line)
        elif paragraph:
            yield start, "".join(paragraph).rstrip("\n")
            paragraph = []
    if paragraph:
        yield start, "".join(paragraph).rstrip("\n")
