"""A corpus as one long row of token ids, in memory or mapped from disk."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_strategies.data.framing import Framing

COLUMNS = ("starts", "tokens", "bytes")  # of the documents, a file each


def id_type(vocab_size: int) -> type:
    """Return the smallest integer type that holds every id: uint16 up to 65,536 tokens, uint32 beyond."""
    return np.uint16 if vocab_size <= 1 << 16 else np.uint32


@dataclass(frozen=True)
class TokenStream:
    """All documents of one side of the split, one behind the other (see `Framing` for the marks between them).

    Pickles as its folder, so that a DataLoader's workers map the same file instead of receiving a copy.

    Args:
        ids: Token ids. `[tokens]`, uint16 or uint32.
        document_starts: Place of each document's start marker in `ids`, rising. `[documents]`, int64.
        document_tokens: Number of each document's tokens without marks. `[documents]`, int64.
        document_bytes: Length of each document's text in bytes of UTF-8. `[documents]`, int64.
        folder: Where the four lie on disk, or None.
    """

    ids: np.ndarray
    document_starts: np.ndarray
    document_tokens: np.ndarray
    document_bytes: np.ndarray
    folder: Path | None = None

    @classmethod
    def open(cls, folder: Path) -> TokenStream:
        """Map the stream that a `TokenStreamWriter` wrote into `folder`."""
        dtype = (folder / "dtype").read_text()
        ids_file = folder / "ids.bin"
        ids = np.memmap(ids_file, dtype=dtype, mode="r") if ids_file.stat().st_size else np.empty(0, dtype)
        starts, tokens, num_bytes = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in COLUMNS)
        return cls(ids, starts, tokens, num_bytes, folder)

    def __reduce__(self) -> tuple:
        if self.folder is not None:
            return TokenStream.open, (self.folder,)
        return TokenStream, (self.ids, self.document_starts, self.document_tokens, self.document_bytes)

    @property
    def num_documents(self) -> int:
        return len(self.document_starts)

    @property
    def num_bytes(self) -> int:
        """Length of all documents' text, in bytes of UTF-8."""
        return int(self.document_bytes.sum())

    def num_bytes_until(self, num_tokens: int) -> float:
        """Length in bytes of the text in the first `num_tokens` tokens; a cut document counts in proportion."""
        begun = int(np.searchsorted(self.document_starts, num_tokens))  # documents
        if begun == 0:
            return 0.0
        last = begun - 1
        text_tokens = num_tokens - int(self.document_starts[last]) - 1  # the marker itself holds no text
        share = min(1.0, text_tokens / max(int(self.document_tokens[last]), 1))
        return float(self.document_bytes[:last].sum() + share * self.document_bytes[last])


def lengths(stream: TokenStream) -> str:
    """Count a stream's documents by their tokens without marks, in powers of two: "1 to 2: 7, 2 to 4: 1"."""
    powers, counts = np.unique(np.log2(np.maximum(stream.document_tokens, 1)).astype(int), return_counts=True)
    return ", ".join(f"{2**power:,} to {2 ** (power + 1):,}: {count:,}" for power, count in zip(powers, counts))


class TokenStreamWriter:
    """Writes encoded documents behind each other into a folder.

    Args:
        folder: An existing empty folder.
        framing: Marks between documents.
        dtype: Integer type of the ids.
    """

    def __init__(self, folder: Path, framing: Framing, dtype: type) -> None:
        self.folder = folder
        self.framing = framing
        self.starts = array("q")
        self.tokens = array("q")
        self.bytes = array("q")
        self.num_tokens = len(framing.opening)
        self.before = np.array(framing.before, dtype).tobytes()
        self.after = np.array(framing.after, dtype).tobytes()
        (folder / "dtype").write_text(np.dtype(dtype).name)
        self.file = (folder / "ids.bin").open("wb")
        self.file.write(np.array(framing.opening, dtype).tobytes())

    def add(self, ids: np.ndarray, num_bytes: int) -> None:
        """Append a document: its ids without marks, and the length of its text in bytes."""
        self.starts.append(self.num_tokens + self.framing.marker_offset)
        self.tokens.append(len(ids))
        self.bytes.append(num_bytes)
        self.num_tokens += self.file.write(self.before + ids.tobytes() + self.after) // ids.itemsize

    def close(self) -> None:
        self.file.close()
        for name, column in zip(COLUMNS, (self.starts, self.tokens, self.bytes)):
            np.save(self.folder / f"{name}.npy", np.array(column, dtype=np.int64))
