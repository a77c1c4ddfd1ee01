"""The documents of both sides: training and validation."""

import hashlib
from collections.abc import Iterator

from hf_strategies.data.cache import digest
from hf_strategies.data.documents import BrokenRecords, Document
from hf_strategies.data.near_copies import NearCopies
from hf_strategies.data.sources import Documents, FileDocuments, TextSource, find_documents
from hf_strategies.data.split import is_validation
from hf_strategies.errors import UserError

TRAIN, VALIDATION = "train", "validation"
SAMPLED_BYTES = 1 << 20


class Corpus:
    """Two sources, or one that the documents' hashes split.

    Args:
        train: What to train on, and what to split where nothing is named for validation.
        validation: What to evaluate on; None takes a data set's own validation split, and otherwise holds out
            `validation_share` of the training documents.
        validation_share: Share of documents held out, in (0, 1).
        streaming: Read data sets of the host library while they are used.
        drop_duplicates: Leave out training documents that are copies of earlier ones ("exact"; memory: about 80 bytes
            for each), or nearly so, too ("near"; see `NearCopies` for what it costs, in each pass over the text).

    Raises:
        UserError: A source does not exist or holds nothing, a file is on both sides, or the share is out of range;
            DNA, which has no words, is to lose near copies.
    """

    def __init__(
        self,
        train: TextSource,
        validation: TextSource | None,
        *,
        validation_share: float,
        streaming: bool = False,
        drop_duplicates: str | None = None,
    ) -> None:
        if validation and train.validation_records:
            raise UserError("validation_records take the place of validation_file: leave one of them out")
        held_out_share = 0.0 if validation else validation_share
        self.train, own_validation = find_documents(train, streaming=streaming, held_out_share=held_out_share)
        named_validation = find_documents(validation, streaming=streaming)[0] if validation else None
        self.validation: Documents | None = named_validation or own_validation
        if self.validation is None and not 0.0 < validation_share < 1.0:
            raise UserError(f"validation_share must lie in (0, 1), got {validation_share}; or name validation data")
        self.validation_share = validation_share
        self.drop_duplicates = drop_duplicates
        if drop_duplicates == "near" and isinstance(self.train, FileDocuments) and self.train.dna:
            raise UserError(
                f"drop_duplicates near compares words, which DNA has none of ({self.train.name}): take exact"
            )
        if train != validation:  # the same on both sides is how text is prepared that is only evaluated on
            _check_sides(self.train, self.validation)

    def identity(self) -> str:
        """Return a digest that changes when a document, its order or its side does."""
        held_out = self.validation.identity() if self.validation else f"share {self.validation_share!r}"
        return digest([self.train.identity(), held_out, *([self.drop_duplicates] if self.drop_duplicates else [])])

    def sample_identity(self) -> str:
        """Return a digest of where the training text comes from and how it begins, for what nobody reads as a whole.

        Cost: reads the first megabyte.
        """
        beginning = self.training_texts(BrokenRecords(max_share=1.0), SAMPLED_BYTES)
        return digest([self.train.name, str(self.train.num_bytes()), *beginning])

    def num_bytes(self) -> int | None:
        """Return the size of the text, roughly, or None where only reading would tell."""
        sizes = [source.num_bytes() for source in (self.train, self.validation) if source is not None]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def read(self, broken: BrokenRecords) -> Iterator[tuple[str, str]]:
        """Yield (side, text) of every document in a fixed order, and judge the broken records at the end.

        Raises:
            UserError: A file or column is not what it should be, or too many records are broken.
        """
        yield from self._read_train(broken)
        if self.validation is not None:
            for document in self.validation.read(broken):
                yield VALIDATION, document.text
        broken.check()

    def training_texts(self, broken: BrokenRecords, max_bytes: int | None = None) -> Iterator[str]:
        """Yield the texts of the training side, the first `max_bytes` of them where only a sample is wanted."""
        training = (text for side, text in self._read_train(broken) if side == TRAIN)
        return _first_bytes(training, max_bytes)

    def validation_texts(self, broken: BrokenRecords, max_bytes: int) -> Iterator[str]:
        """Yield the first `max_bytes` of the texts of the validation side."""
        if self.validation is not None:
            return _first_bytes((document.text for document in self.validation.read(broken)), max_bytes)
        return _first_bytes((text for side, text in self._read_train(broken) if side == VALIDATION), max_bytes)

    def _read_train(self, broken: BrokenRecords) -> Iterator[tuple[str, str]]:
        seen: set[bytes] = set()
        kept = NearCopies()
        for document in self.train.read(broken):
            if self.drop_duplicates:
                copy = hashlib.blake2b(document.text.encode(), digest_size=16).digest()
                if copy in seen:
                    broken.count("documents left out, which are copies of others", 1)
                    continue
                seen.add(copy)
                if self.drop_duplicates == "near" and kept.seen(document.text):
                    broken.count("documents left out, which are nearly copies of others", 1)
                    continue
            held_out = self.validation is None and self._is_held_out(document)
            yield (VALIDATION if held_out else TRAIN), document.text

    def _is_held_out(self, document: Document) -> bool:
        if document.held_out is not None:
            return document.held_out
        return is_validation(document.text, self.validation_share)


def _check_sides(train: Documents, validation: Documents | None) -> None:
    """Raise a `UserError` that names a file that is on both sides."""
    if isinstance(train, FileDocuments) and isinstance(validation, FileDocuments):
        for place, path in train.paths_by_place.items():
            if place in validation.paths_by_place:
                raise UserError(f"{path}: on both sides, in train_file and in validation_file; leave it out of one")


def _first_bytes(texts: Iterator[str], max_bytes: int | None) -> Iterator[str]:
    """Yield texts until they hold `max_bytes` of UTF-8; the one that reaches it is still given, whole."""
    num_bytes = 0
    for text in texts:
        yield text
        num_bytes += len(text.encode())
        if max_bytes is not None and num_bytes >= max_bytes:
            return
