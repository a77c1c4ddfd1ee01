"""FASTA files of DNA, read piece by piece: no record, and no line, is ever in memory as a whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hf_strategies.data.bases import EXPECTED, SPELLINGS
from hf_strategies.data.compression import open_bytes
from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.records import format_suffix, naming
from hf_strategies.errors import UserError

SUFFIXES = (".fa", ".fasta", ".fna")
PIECE_BYTES = 1 << 20

_TABLE = bytes(ord(SPELLINGS.get(chr(byte), "N")) for byte in range(256))
_SPACES = b" \t\r\n"
_KNOWN = "".join(SPELLINGS).encode() + _SPACES
_LOWER = b"".join(letter.encode() for letter in SPELLINGS if letter.islower())
_PLAIN = b"ACGTNacgtn" + _SPACES


class Piece(NamedTuple):
    """A stretch of a record: its name, the row of its header, and bases as capitals of A, C, G, T and N."""

    record: str
    row: int
    bases: str


def is_fasta(path: Path) -> bool:
    """Tell from its suffix whether a file is FASTA, with or without .gz or .zst behind it."""
    return format_suffix(path) in SUFFIXES


def read_fasta(path: Path, broken: BrokenRecords) -> Iterator[Piece]:
    """Yield the records of a file in pieces of about a megabyte.

    A record's name is the first word of its header. Lowercase, which marks repeats, becomes capitals, and a code for
    several bases becomes N; both are counted.

    Args:
        path: The file, compressed or not.
        broken: Where they are counted.

    Raises:
        UserError: The file cannot be read or is damaged, begins with no header, or has a letter that is no base.
    """
    with naming(path), open_bytes(path) as file:
        record: tuple[str, int] | None = None
        lines: list[bytes] = []
        row, first_row, size, within_line = 0, 0, 0, False
        while line := file.readline(PIECE_BYTES):
            row += not within_line
            is_header = line.startswith(b">") and not within_line
            within_line = not line.endswith(b"\n")
            if record is not None and lines and (is_header or size >= PIECE_BYTES):
                yield Piece(*record, _capitals(path, first_row, record[0], b"".join(lines), broken))
                lines, size = [], 0
            if is_header:
                record = (line[1:].decode("utf-8", "replace").split() or [""])[0], row
                broken.good()
            elif record is not None:
                first_row = first_row if lines else row
                lines.append(line)
                size += len(line)
            elif line.strip():
                raise UserError(f"{path}:{row}: a FASTA file begins with '>' and a name, got {_begin(line)}")
        if record is not None and lines:
            yield Piece(*record, _capitals(path, first_row, record[0], b"".join(lines), broken))


def _capitals(path: Path, first_row: int, record: str, raw: bytes, broken: BrokenRecords) -> str:
    """Spell the lines from `first_row` on out in A, C, G, T and N."""
    if strange := raw.translate(None, _KNOWN)[:1]:
        row = first_row + raw.count(b"\n", 0, raw.index(strange))
        raise UserError(f"{path}:{row}: expected {EXPECTED}; got {_begin(strange)} in record {record!r}")
    broken.count("lowercase (soft-masked) bases read as capitals", len(raw) - len(raw.translate(None, _LOWER)))
    broken.count("letters for more than one base (IUPAC) read as N", len(raw.translate(None, _PLAIN)))
    return raw.translate(_TABLE, _SPACES).decode("ascii")


def _begin(line: bytes) -> str:
    return repr(line.strip()[:20].decode("utf-8", "replace"))
