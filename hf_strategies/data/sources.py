"""Where text comes from: files, data sets of the host library, or the embedded corpus; all of them yield documents."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from hf_strategies.data.cache import digest, file_digest
from hf_strategies.data.compression import COMPRESSIONS
from hf_strategies.data.documents import BrokenRecords, Document
from hf_strategies.data.fasta import Piece, is_fasta, read_fasta
from hf_strategies.data.file_patterns import matching_files
from hf_strategies.data.readers import is_one_document, read_file, text_of
from hf_strategies.data.records import BinaryFileError, Broken, check_column, format_suffix
from hf_strategies.data.regions import RegionSplit, split_regions
from hf_strategies.data.standard_library import standard_library_documents, standard_library_files
from hf_strategies.errors import UserError, did_you_mean

WHOLE = RegionSplit()


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """What the user named; neither files nor a data set means embedded data.

    Args:
        files: Files, globs or folders (read recursively, hidden files left out); a file that several of them name is
            read once.
        dataset_name: A data set's Hub name, or its local folder.
        dataset_config_name: Configuration of that data set.
    """

    files: tuple[str, ...] = ()
    dataset_name: str | None = None
    dataset_config_name: str | None = None

    def __post_init__(self) -> None:
        if self.files and self.dataset_name:
            raise UserError(f"give files ({self.files[0]}) or a data set ({self.dataset_name}), not both")


@dataclass(frozen=True, kw_only=True)
class TextSource(DataSource):
    """Data whose text stands in `text_column`, or under that JSON key.

    Args:
        text_column: The column.
        region_bases: Length of the regions of DNA that are held out or not (see `RegionSplit`).
        validation_records: Names of the records of FASTA files that are held out, in the place of a share of regions.
    """

    text_column: str = "text"
    region_bases: int = RegionSplit.region_bases
    validation_records: tuple[str, ...] = ()


class Documents(Protocol):
    """A source that was found: it can be named by its content and read as often as needed.

    Args:
        name: Where it lies, as the user would say it.
    """

    name: str

    def identity(self) -> str:
        """Return a digest that changes when the documents do; not to be had of a streaming data set."""

    def num_bytes(self) -> int | None:
        """Return the size of the text, roughly, or None where only reading would tell."""

    def read(self, broken: BrokenRecords) -> Iterator[Document]:
        """Yield the documents in a fixed order; empty texts are left out."""


class FileDocuments:
    """Documents in local files; DNA comes last.

    Args:
        patterns: Files, globs or folders.
        text_column: Column that holds the text.
        split: How DNA is split.

    Raises:
        UserError: A pattern matches nothing, or a file is missing, empty or unreadable (naming it); records are to be
            held out of files that have none.
    """

    def __init__(self, patterns: tuple[str, ...], text_column: str, split: RegionSplit = WHOLE) -> None:
        self.name = " ".join(patterns)
        self.text_column = text_column
        self.named = {Path(pattern).expanduser() for pattern in patterns}
        self.paths_by_place: dict[Path, Path] = {}
        for path in (path for pattern in patterns for path in matching_files(pattern)):
            self.paths_by_place.setdefault(path.resolve(), path)
        self.paths = list(self.paths_by_place.values())
        self.dna = [path for path in self.paths if is_fasta(path)]
        self.split = split
        if split.records and not self.dna:
            raise UserError(f"validation_records are of FASTA files, got {self.name}")

    def identity(self) -> str:
        contents = [part for path in self.paths for part in (format_suffix(path), file_digest(path))]
        return digest(["files", self.text_column, *contents, *([repr(self.split)] if self.dna else [])])

    def num_bytes(self) -> int | None:
        if any(path.suffix.lower() in (*COMPRESSIONS, ".parquet") for path in self.paths):
            return None
        return sum(path.stat().st_size for path in self.paths)

    def read(self, broken: BrokenRecords) -> Iterator[Document]:
        for path in self.paths:
            if not is_fasta(path):
                yield from self._read_file(path, broken)
        if self.dna:
            yield from self._read_dna(broken)

    def _read_file(self, path: Path, broken: BrokenRecords) -> Iterator[Document]:
        try:
            for row, text in read_file(path, self.text_column):
                yield from _document(text, str(path), row, broken)
        except UserError as error:
            if path in self.named or not is_one_document(path):
                raise
            if isinstance(error, BinaryFileError):
                broken.binary(str(path))
            else:
                broken.broken(str(path), 1, str(error).partition(": ")[2])

    def _read_dna(self, broken: BrokenRecords) -> Iterator[Document]:
        seen: dict[str, str] = {}

        def pieces() -> Iterator[Piece]:
            for path in self.dna:
                for piece in read_fasta(path, broken):
                    seen.setdefault(piece.record, str(path))
                    yield piece

        for stretch, held_out in split_regions(pieces(), self.split, broken):
            yield Document(stretch.bases, seen[stretch.record], stretch.row, held_out)
        for name in self.split.records:
            if name not in seen:
                known = ", ".join([*seen][:10]) + (", ..." if len(seen) > 10 else "")
                raise UserError(f"{self.name}: no record {name!r}{did_you_mean(name, seen)} (records: {known})")


class StandardLibraryDocuments:
    """The embedded corpus."""

    name = "standard library"

    def identity(self) -> str:
        return digest(["standard library", *map(file_digest, standard_library_files())])

    def num_bytes(self) -> int | None:
        return sum(path.stat().st_size for path in standard_library_files())

    def read(self, broken: BrokenRecords) -> Iterator[Document]:
        for document in standard_library_documents():
            yield from _document(document.text, document.source, document.row, broken)


class DatasetDocuments:
    """Documents in one split of a data set of the host library, on disk or streaming."""

    def __init__(self, split: Any, source: TextSource) -> None:
        self.split = split
        self.name = str(source.dataset_name)
        self.text_column = source.text_column

    @cached_property
    def _texts(self) -> Any:
        """The split with its text column only; a streaming split may not know its columns before it is read."""
        found = self.split.column_names
        if not found:
            found = next((list(record) for _, record in self._rows(self.split)), [])
        check_column(self.name, self.text_column, found)
        return self.split.select_columns([self.text_column])

    def identity(self) -> str:
        return digest(["dataset", self.text_column, self.split._fingerprint])

    def num_bytes(self) -> int | None:
        return None

    def read(self, broken: BrokenRecords) -> Iterator[Document]:
        for row, record in self._rows(self._texts):
            yield from _document(text_of(record[self.text_column], self.text_column), self.name, row, broken)

    def _rows(self, split: Any) -> Iterator[tuple[int, dict]]:
        row = 0
        try:
            for row, record in enumerate(split, start=1):
                yield row, record
        except Exception as error:  # the network, a damaged shard: whatever goes wrong in there
            raise UserError(f"data set {self.name!r} cannot be read after row {row:,}: {_reason(error)}") from error


def find_documents(
    source: TextSource, *, streaming: bool = False, held_out_share: float = 0.0
) -> tuple[Documents, Documents | None]:
    """Find what a source names.

    Args:
        source: What the user named.
        streaming: Read a data set while it is used instead of downloading it first; local files never need that.
        held_out_share: Share of the regions of DNA that are held out for validation.

    Returns:
        The documents, and those of the split "validation" where the source is a data set that has one.

    Raises:
        UserError: Nothing is there, or it cannot be read; names the file, pattern or data set.
    """
    if source.dataset_name:
        splits = load_splits(source, streaming=streaming)
        if "train" not in splits:
            raise UserError(f"{source.dataset_name}: no split 'train' (splits: {', '.join(map(str, splits))})")
        held_out = splits.get("validation")
        validation = None if held_out is None else DatasetDocuments(held_out, source)
        return DatasetDocuments(splits["train"], source), validation
    if source.files:
        split = RegionSplit(region_bases=source.region_bases, share=held_out_share, records=source.validation_records)
        return FileDocuments(source.files, source.text_column, split), None
    if source.validation_records:
        raise UserError("validation_records are of FASTA files: name them in train_file")
    return StandardLibraryDocuments(), None


def load_splits(source: DataSource, *, streaming: bool = False) -> dict[str, Any]:
    """Load the data set that a source names, from the Hub, its cache or a folder; its splits by name.

    Raises:
        UserError: It cannot be loaded.
    """
    import datasets

    folder = Path(str(source.dataset_name))
    try:
        if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
            saved = datasets.load_from_disk(str(folder))
        else:
            saved = datasets.load_dataset(source.dataset_name, source.dataset_config_name, streaming=streaming)
    except Exception as error:  # whatever goes wrong in there, the user's line is the name
        raise UserError(f"data set {source.dataset_name!r} cannot be loaded: {_reason(error)}") from error
    return saved if isinstance(saved, dict) else {"train": saved}


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _document(text: str | Broken, source: str, row: int, broken: BrokenRecords) -> Iterator[Document]:
    """Yield the document, or count why there is none; an empty text is neither a document nor broken."""
    if isinstance(text, Broken):
        broken.broken(source, row, text.reason)
        return
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell and UTF-8 cannot
        broken.broken(source, row, "holds half of a surrogate pair")
        return
    broken.good()
    if text:
        yield Document(text, source, row)
