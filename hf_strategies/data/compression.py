"""Compressed files, read as the bytes that are in them."""

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import zstandard

COMPRESSIONS = (".gz", ".zst")
COMPRESSED_PIECE = 1 << 14  # bytes; small, as text of one letter comes out thousands of times larger


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, decompressed if its suffix says so.

    A file that was cut off raises `EOFError` where it ends; what is no compressed data raises `OSError`, `zlib.error`
    or `zstandard.ZstdError`.
    """
    compression = path.suffix.lower()
    if compression == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if compression == ".zst":
        return io.BufferedReader(_Pieces(_zstd_pieces(path)), 1 << 17)
    return path.open("rb")


def _zstd_pieces(path: Path) -> Iterator[bytes]:
    """Decompress frame after frame; the package's own reader takes a frame that was cut off for a whole one."""
    frame = None
    with path.open("rb") as file:
        while piece := file.read(COMPRESSED_PIECE):
            while piece:
                frame = frame or zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
                yield frame.decompress(piece)
                piece = b""
                if frame.eof:
                    piece, frame = frame.unused_data, None
    if frame is not None:
        raise EOFError("the file ends within a zstd frame")


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self.rest:
            piece = next(self.pieces, None)
            if piece is None:
                return 0
            self.rest = memoryview(piece)
        size = min(len(buffer), len(self.rest))
        buffer[:size], self.rest = self.rest[:size], self.rest[size:]
        return size
