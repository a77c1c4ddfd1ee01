"""File formats: each reader turns one file into (row, text) pairs, where text may be a `Broken` reason.

Text is UTF-8 without NUL bytes, and a row ends at a line feed and nowhere else: form feeds, 0x85 and their like occur
inside real text. A file whose first megabyte is not text is the wrong file and refused; a row further on that is not
is one broken record.
"""

import codecs
import csv
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import zstandard

from hf_strategies.data.compression import COMPRESSIONS, open_bytes
from hf_strategies.errors import UserError, did_you_mean, first_line

JUDGED_BYTES = 1 << 20
JUDGED_OBJECTS = 100  # a key that none of a file's first objects has is a wrong name
LONGEST_FIELD = (1 << 31) - 1  # the csv module's own limit, 128 kB per field, is shorter than many a document


class BinaryFileError(UserError):
    """The file holds no text in any encoding."""


class Broken(NamedTuple):
    """Why a record has no text."""

    reason: str


Record = tuple[int, "str | Broken"]


def read_file(path: Path, text_column: str) -> Iterator[Record]:
    """Yield the records of a file in the format that its suffix names, with or without .gz or .zst behind it.

    Args:
        path: The file; a suffix that names no format makes it one document as it is.
        text_column: Column or JSON key that holds the text; a null is an empty text.

    Raises:
        BinaryFileError: The file is no text.
        UserError: The file cannot be read, is damaged, is not UTF-8, or has no such column.
    """
    try:
        suffix = format_suffix(path)
        if suffix in COLUMN_READERS:
            yield from COLUMN_READERS[suffix](path, text_column)
        elif suffix == ".txt":
            yield from _read_text(path)
        else:
            yield 1, _whole_text(path)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def format_suffix(path: Path) -> str:
    """Return the suffix that names the format, in lower case: ".jsonl" for "pile.jsonl.zst"."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def is_one_document(path: Path) -> bool:
    """Tell whether the file as a whole is one document, as source files are."""
    return format_suffix(path) not in (".txt", *COLUMN_READERS)


def check_column(path: str | Path, text_column: str, found: list[str]) -> None:
    """Raise a `UserError` that names the columns there are, unless `text_column` is among them."""
    if text_column not in found:
        guess = did_you_mean(text_column, found)
        raise UserError(f"{path}: no column {text_column!r}{guess} (columns: {', '.join(map(str, found)) or 'none'})")


def text_of(value: object, text_column: str) -> str | Broken:
    """Return the text in a column; a null is an empty text, anything else but a text is broken."""
    if value is None:
        return ""
    return value if isinstance(value, str) else Broken(f"{text_column!r} is not a text")


def _lines(path: Path) -> Iterator[Record]:
    """Yield decoded lines with their line feed, a carriage return before it dropped."""
    with open_bytes(path) as file:
        head = file.read(JUDGED_BYTES)
    _check_text(path, head, is_whole=len(head) < JUDGED_BYTES)
    with open_bytes(path) as file:
        for row, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig" if row == 1 else "utf-8")
            except UnicodeDecodeError as error:
                yield row, Broken(f"not UTF-8 (byte 0x{raw[error.start]:02x})")
                continue
            if "\0" in line:
                yield row, Broken("holds a NUL byte")
            else:
                yield row, line[:-2] + "\n" if line.endswith("\r\n") else line


def _whole_text(path: Path) -> str:
    with open_bytes(path) as file:
        raw = file.read()
    _check_text(path, raw, is_whole=True)
    return raw.decode("utf-8-sig")


def _check_text(path: Path, head: bytes, *, is_whole: bool) -> None:
    """Raise a `UserError` that says what a file is, by how it begins, unless it is UTF-8 text."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{path}: not UTF-8 but UTF-16; convert it first, for example with: iconv -f utf-16 -t utf-8")
    nul = head.find(b"\0")
    if nul >= 0:
        raise BinaryFileError(f"{path}: a binary file (NUL byte at offset {nul:,}), not text")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=is_whole)
    except UnicodeDecodeError as error:
        row = head.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}: not UTF-8: byte 0x{head[error.start]:02x} at offset {error.start:,} (row {row:,}); "
            "convert it first, for example with: iconv -f latin1 -t utf-8"
        ) from None


def _read_text(path: Path) -> Iterator[Record]:
    """A blank line ends a document; its row is that of its first line."""
    paragraph: list[str] = []
    start = 1
    for row, line in _lines(path):
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


def _read_json(path: Path, text_column: str) -> Iterator[Record]:
    """One object per line, or one array of objects for the whole file."""
    with open_bytes(path) as file:
        is_array = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    return _texts_of_objects(path, text_column, _json_array(path) if is_array else _json_lines(path))


def _json_array(path: Path) -> Iterator[tuple[int, object]]:
    text = _whole_text(path)
    try:
        return enumerate(json.loads(text), start=1)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {first_line(error)}") from None


def _json_lines(path: Path) -> Iterator[tuple[int, object]]:
    for row, line in _lines(path):
        if isinstance(line, Broken):
            yield row, line
        elif line.strip():
            try:
                yield row, json.loads(line)
            except json.JSONDecodeError as error:
                yield row, Broken(f"not JSON ({error.msg} at column {error.colno})")
            except (ValueError, RecursionError) as error:  # a number too long, brackets too deep
                yield row, Broken(f"not JSON ({first_line(error)})")


def _texts_of_objects(path: Path, key: str, items: Iterable[tuple[int, object]]) -> Iterator[Record]:
    found, lacking = False, 0
    first_keys: list[str] = []
    for row, item in items:
        if isinstance(item, Broken):
            yield row, item
        elif not isinstance(item, dict):
            yield row, Broken(f"not an object but {type(item).__name__}")
        elif key in item:
            found = True
            yield row, text_of(item[key], key)
        else:
            first_keys = first_keys or list(item)
            lacking += 1
            if lacking == JUDGED_OBJECTS and not found:
                check_column(path, key, first_keys)
            yield row, Broken(f"no key {key!r}")
    if lacking and not found:
        check_column(path, key, first_keys)


def _read_table(path: Path, text_column: str, *, delimiter: str) -> Iterator[Record]:
    undecodable: list[Record] = []

    def decoded() -> Iterator[str]:
        for row, line in _lines(path):
            if isinstance(line, Broken):
                undecodable.append((row, line))
            else:
                yield line

    csv.field_size_limit(LONGEST_FIELD)
    table = csv.DictReader(decoded(), delimiter=delimiter, strict=True)
    try:
        check_column(path, text_column, list(table.fieldnames or []))
    except csv.Error as error:
        raise UserError(f"{path}: row 1 names no columns: {error}") from None
    while True:
        num_read = table.reader.line_num
        try:
            fields = next(table, None)
        except csv.Error as error:
            # A quote that nothing closes takes in the rows behind it: each of them is lost, and counted.
            lost = range(num_read + 1, table.reader.line_num + 1)
            yield from ((row, Broken(f"not CSV ({error})")) for row in lost)
            continue
        yield from undecodable
        undecodable.clear()
        if fields is None:
            return
        text = fields[text_column]
        yield table.line_num, Broken("too few fields") if text is None else text


def _read_parquet(path: Path, text_column: str) -> Iterator[Record]:
    import pyarrow as pa
    from pyarrow import parquet

    compressed = path.suffix.lower() in COMPRESSIONS
    try:
        if compressed:
            with open_bytes(path) as file:
                table = parquet.ParquetFile(pa.BufferReader(file.read()))
        else:
            table = parquet.ParquetFile(path)
        check_column(path, text_column, table.schema_arrow.names)
        values = (value for batch in table.iter_batches(columns=[text_column]) for value in batch.column(0))
        for row, value in enumerate(values, start=1):
            try:
                text = text_of(value.as_py(), text_column)
            except UnicodeDecodeError as error:  # writers need not check what they call a string
                text = Broken(f"not UTF-8 (byte 0x{error.object[error.start]:02x})")
            yield row, text
    except pa.ArrowException as error:
        raise UserError(f"{path}: not a parquet file: {error}") from error


COLUMN_READERS: dict[str, Callable[[Path, str], Iterator[Record]]] = {
    ".json": _read_json,
    ".jsonl": _read_json,
    ".csv": partial(_read_table, delimiter=","),
    ".tsv": partial(_read_table, delimiter="\t"),
    ".parquet": _read_parquet,
}
