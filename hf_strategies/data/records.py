"""Rows of tables: each reader turns one file into (row, mapping) pairs, where the mapping may be a `Broken` reason.

Text is UTF-8 without NUL bytes, and a row ends at a line feed and nowhere else: form feeds, 0x85 and their like occur
inside real text. A file whose first megabyte is not text is the wrong file and refused; a row further on that is not
is one broken record.
"""

import codecs
import csv
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

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


Record = tuple[int, "dict[str, Any] | Broken"]
Line = tuple[int, "str | Broken"]


def read_records(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    """Yield the records of a table in the format that its suffix names, with or without .gz or .zst behind it.

    Args:
        path: The file.
        columns: What every record must have; of a parquet file nothing else is read, other formats may yield more.

    Raises:
        BinaryFileError: The file is no text.
        UserError: The file cannot be read, is damaged, is not UTF-8, is no table, or lacks a column.
    """
    suffix = format_suffix(path)
    if suffix not in TABLE_READERS:
        raise UserError(f"{path}: expected a table ({', '.join(TABLE_READERS)}), got {suffix or 'no suffix'}")
    with naming(path):
        yield from TABLE_READERS[suffix](path, columns)


def is_table(path: Path) -> bool:
    """Tell whether a file's suffix names a format with columns."""
    return format_suffix(path) in TABLE_READERS


def columns_of(path: Path) -> list[str]:
    """List the columns of a table, or the keys of its first object.

    Raises:
        UserError: As of `read_records`; or no row can be read.
    """
    if format_suffix(path) == ".parquet":
        with naming(path):
            return _open_parquet(path).schema_arrow.names
    why = "there are none"
    for number, record in read_records(path, ()):
        if not isinstance(record, Broken):
            return list(record)
        why = f"row {number}: {record.reason}"
    raise UserError(f"{path}: no row can be read ({why})")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Say which file it is that cannot be read."""
    try:
        yield
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def format_suffix(path: Path) -> str:
    """Return the suffix that names the format, in lower case: ".jsonl" for "pile.jsonl.zst"."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def check_column(path: str | Path, text_column: str, found: list[str]) -> None:
    """Raise a `UserError` that names the columns there are, unless `text_column` is among them."""
    if text_column not in found:
        guess = did_you_mean(text_column, found)
        raise UserError(f"{path}: no column {text_column!r}{guess} (columns: {', '.join(map(str, found)) or 'none'})")


def decoded_lines(path: Path) -> Iterator[Line]:
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


def whole_text(path: Path) -> str:
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


def _read_json(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    """One object per line, or one array of objects for the whole file."""
    with open_bytes(path) as file:
        is_array = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    return _objects(path, columns, _json_array(path) if is_array else _json_lines(path))


def _json_array(path: Path) -> Iterator[tuple[int, object]]:
    text = whole_text(path)
    try:
        return enumerate(json.loads(text), start=1)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {first_line(error)}") from None


def _json_lines(path: Path) -> Iterator[tuple[int, object]]:
    for row, line in decoded_lines(path):
        if isinstance(line, Broken):
            yield row, line
        elif line.strip():
            try:
                yield row, json.loads(line)
            except json.JSONDecodeError as error:
                yield row, Broken(f"not JSON ({error.msg} at column {error.colno})")
            except (ValueError, RecursionError) as error:  # a number too long, brackets too deep
                yield row, Broken(f"not JSON ({first_line(error)})")


def _objects(path: Path, keys: Sequence[str], items: Iterable[tuple[int, object]]) -> Iterator[Record]:
    found: set[str] = set()
    lacking = dict.fromkeys(keys, 0)
    first_keys: list[str] = []
    for row, item in items:
        if isinstance(item, Broken):
            yield row, item
        elif not isinstance(item, dict):
            yield row, Broken(f"not an object but {type(item).__name__}")
        else:
            missing = [key for key in keys if key not in item]
            found |= set(keys) - set(missing)
            first_keys = first_keys or list(item)
            for key in missing:
                lacking[key] += 1
                if lacking[key] == JUDGED_OBJECTS and key not in found:
                    check_column(path, key, first_keys)
            yield row, Broken(f"no key {missing[0]!r}") if missing else item
    for key in keys:
        if lacking[key] and key not in found:
            check_column(path, key, first_keys)


def _read_table(path: Path, columns: Sequence[str], *, delimiter: str) -> Iterator[Record]:
    undecodable: list[tuple[int, Broken]] = []

    def decoded() -> Iterator[str]:
        for row, line in decoded_lines(path):
            if isinstance(line, Broken):
                undecodable.append((row, line))
            else:
                yield line

    csv.field_size_limit(LONGEST_FIELD)
    table = csv.DictReader(decoded(), delimiter=delimiter, strict=True)
    try:
        for column in columns:
            check_column(path, column, list(table.fieldnames or []))
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
        lacks = any(fields[column] is None for column in columns)
        yield table.line_num, Broken("too few fields") if lacks else fields


def _read_parquet(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    import pyarrow as pa

    try:
        table = _open_parquet(path)
        for column in columns:
            check_column(path, column, table.schema_arrow.names)
        batches = table.iter_batches(columns=list(columns))
        rows = (values for batch in batches for values in zip(*map(batch.column, columns), strict=True))
        for row, values in enumerate(rows, start=1):
            try:
                yield row, {column: value.as_py() for column, value in zip(columns, values, strict=True)}
            except UnicodeDecodeError as error:  # writers need not check what they call a string
                yield row, Broken(f"not UTF-8 (byte 0x{error.object[error.start]:02x})")
    except pa.ArrowException as error:
        raise UserError(f"{path}: not a parquet file: {error}") from error


def _open_parquet(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        if path.suffix.lower() not in COMPRESSIONS:
            return parquet.ParquetFile(path)
        with open_bytes(path) as file:
            return parquet.ParquetFile(pa.BufferReader(file.read()))
    except pa.ArrowException as error:
        raise UserError(f"{path}: not a parquet file: {error}") from error


TABLE_READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[Record]]] = {
    ".json": _read_json,
    ".jsonl": _read_json,
    ".csv": partial(_read_table, delimiter=","),
    ".tsv": partial(_read_table, delimiter="\t"),
    ".parquet": _read_parquet,
}
