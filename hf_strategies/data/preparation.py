"""From what the user named to blocks of tokens: the one function that scripts call."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hf_strategies.data.bases import complements
from hf_strategies.data.cache import built_once, digest
from hf_strategies.data.corpus import TRAIN, VALIDATION, Corpus
from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.framing import Framing
from hf_strategies.data.masked_blocks import MaskedBlocks
from hf_strategies.data.maskings import MaskingRequest
from hf_strategies.data.mixed_blocks import JoinedBlocks, MixedBlocks
from hf_strategies.data.overlap import shared_ngrams
from hf_strategies.data.packing import PackedBlocks
from hf_strategies.data.preparation_report import PreparationReport, SideCounts
from hf_strategies.data.sources import TextSource
from hf_strategies.data.strands import StrandedBlocks
from hf_strategies.data.streaming import StreamingBlocks
from hf_strategies.data.token_stream import TokenStream, id_type, lengths
from hf_strategies.data.tokenization import write_streams
from hf_strategies.data.tokenizers import TokenizerRequest, train_tokenizer
from hf_strategies.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FORMAT_VERSION = "2"  # of what lies in the cache
TOKENIZER_TRAINING_BYTES = 1 << 27  # a tokenizer learns from the first 128 MB; more changes few of its merges
STREAMED_EVAL_BLOCKS = 256  # evaluated on, from a stream whose validation side has no end that is known
LONG_TOKEN = 8  # bytes; a guess on the high side of what a token holds on average


@dataclass(frozen=True)
class PreparedText:
    """Blocks for training and evaluation, the tokenizer that made them, and the report.

    `identity` is a digest of the text and of the tokenizer; None where the text is streamed.
    """

    tokenizer: PreTrainedTokenizerBase
    train: PackedBlocks | MaskedBlocks | StrandedBlocks | StreamingBlocks | MixedBlocks
    validation: PackedBlocks | MaskedBlocks | JoinedBlocks
    report: PreparationReport
    identity: str | None = None


def prepare_text(
    train: TextSource,
    validation: TextSource | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | TokenizerRequest,
    block_size: int,
    masking: MaskingRequest | None = None,
    validation_share: float = 0.05,
    max_broken_share: float = 0.01,
    max_train_blocks: int | None = None,
    max_eval_blocks: int | None = None,
    isolate_documents: bool = False,
    strand_seed: int | None = None,
    drop_duplicates: str | None = None,
    contamination_ngram: int | None = None,
    streaming: bool = False,
    num_workers: int | None = None,
    show_progress: bool = False,
) -> PreparedText:
    """Read, split, tokenize and pack text; a second call with the same content reads the cache.

    Every rank may call it: one prepares, the others wait for its files and map them.

    Args:
        train: Training text; `TextSource()` is the embedded corpus.
        validation: Validation text (see `Corpus`).
        tokenizer: A tokenizer, or a request to train one on the training side.
        block_size: Tokens that a model reads in one example.
        masking: Hides a part of each block; None leaves them as they are, for the causal objective.
        validation_share: Share of documents held out where there is no validation text, in (0, 1); 0.05 holds out
            0.5 MB of the embedded corpus.
        max_broken_share: Largest share of broken records that is skipped over, in [0, 1].
        max_train_blocks: Train on so many blocks at most; a streaming run is bounded by its steps instead.
        max_eval_blocks: Evaluate on so many blocks at most; None takes all, or 256 when streaming.
        isolate_documents: Keep attention within documents.
        strand_seed: Read training blocks of DNA from either strand, by chance; None reads them as they stand.
        drop_duplicates: Leave out training documents that are copies of earlier ones: "exact", or "near" ones, too.
        contamination_ngram: Report how many runs of so many validation tokens the training text has too.
        streaming: Read and tokenize the training side while training; only the validation side lies in the cache.
        num_workers: Processes that tokenize; None takes all cores.
        show_progress: Show progress bars; true on one rank only.

    Raises:
        UserError: Nothing to read, not UTF-8, no such column, too many broken records, a side smaller than one block,
            a tokenizer without an end of text or without a tokenizer.json, a cache that cannot be written; a masking
            that the tokenizer is not made for, or that is to go with a stream or with isolated documents; strands of
            what is no DNA.
    """
    started = time.perf_counter()
    if masking is not None and (streaming or isolate_documents):
        option = "streaming" if streaming else "isolate_documents"
        raise UserError(f"{option} goes with objective causal alone, not with {masking.objective}")
    if strand_seed is not None and (streaming or isolate_documents or masking is not None):
        raise UserError("reverse_complement goes with objective causal, without streaming and isolate_documents")
    if streaming and max_train_blocks is not None:
        raise UserError("max_train_samples does not go with streaming: bound the run with max_steps")
    if streaming and contamination_ngram is not None:
        raise UserError("contamination_ngram needs the whole training text, which streaming does not read")
    corpus = Corpus(
        train, validation, validation_share=validation_share, streaming=streaming, drop_duplicates=drop_duplicates
    )
    identity = None if streaming else corpus.identity()
    if isinstance(tokenizer, TokenizerRequest):
        learned_from = corpus.sample_identity() if identity is None else identity
        tokenizer = trained_tokenizer(corpus, learned_from, tokenizer, show_progress)
    maker = _BlockMaker(
        tokenizer, block_size, masking, isolate_documents, max_broken_share, num_workers, show_progress
    )

    partners = None if strand_seed is None else complements(tokenizer)
    train_blocks: PackedBlocks | MaskedBlocks | StrandedBlocks | StreamingBlocks
    if identity is None:
        max_eval_blocks = STREAMED_EVAL_BLOCKS if max_eval_blocks is None else max_eval_blocks
        max_bytes = max_eval_blocks * block_size * LONG_TOKEN
        held_out = list(corpus.validation_texts(BrokenRecords(max_broken_share), max_bytes))
        written = maker.write(
            digest(held_out), lambda _: ((VALIDATION, text) for text in held_out), sides=(VALIDATION,)
        )
        train_blocks = maker.stream(corpus)
    else:
        written = maker.write(identity, corpus.read, sides=(TRAIN, VALIDATION), num_bytes=corpus.num_bytes())
        train_blocks = maker.pack(written.streams[TRAIN], "training", max_train_blocks)
        if strand_seed is not None and partners is not None and isinstance(train_blocks, PackedBlocks):
            train_blocks = StrandedBlocks(train_blocks, partners, strand_seed)
    validation_blocks = maker.pack(written.streams[VALIDATION], "validation", max_eval_blocks)

    report = PreparationReport(
        sides={
            side: SideCounts(stream.num_documents, stream.num_bytes, len(stream.ids))
            for side, stream in written.streams.items()
        },
        broken=written.broken.summary(),
        from_cache=written.from_cache,
        seconds=time.perf_counter() - started,
        notes=[f"{side}, tokens per document: {lengths(stream)}" for side, stream in written.streams.items()],
    )
    if contamination_ngram is not None:
        shared, runs = shared_ngrams(
            written.streams[TRAIN], written.streams[VALIDATION], contamination_ngram, maker.framing.eos_token_id
        )
        report.notes.append(
            f"{shared:,} of {runs:,} runs of {contamination_ngram} validation tokens ({shared / max(runs, 1):.1%}) "
            "stand in the training text"
        )
    whole = None if identity is None else digest([identity, maker.tokenizer_json])
    return PreparedText(tokenizer, train_blocks, validation_blocks, report, whole)


class LearnedFrom(Protocol):
    """Where a tokenizer finds its texts."""

    def training_texts(self, broken: BrokenRecords, max_bytes: int) -> Iterator[str]: ...


class _WrittenStreams(NamedTuple):
    streams: dict[str, TokenStream]
    broken: BrokenRecords
    from_cache: bool


class _BlockMaker:
    """Tokenizes texts, writes them to the cache and packs them, both sides with one tokenizer and one block size."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        block_size: int,
        masking: MaskingRequest | None,
        isolate_documents: bool,
        max_broken_share: float,
        num_workers: int | None,
        show_progress: bool,
    ) -> None:
        if not tokenizer.is_fast:
            raise UserError(
                f"{type(tokenizer).__name__} has no tokenizer.json to encode with; "
                "name a tokenizer that has one, or train one here (bpe, bytes, chars or bases)"
            )
        self.framing = Framing.of(tokenizer)
        self.tokenizer_json = tokenizer.backend_tokenizer.to_str()
        self.dtype = id_type(len(tokenizer))
        self.pad_token_id = self.framing.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self.block_size = block_size
        self.seed = 0 if masking is None else masking.seed
        self.masking = None if masking is None else masking.build(tokenizer, block_size)
        self.isolate_documents = isolate_documents
        self.max_broken_share = max_broken_share
        self.num_workers = num_workers
        self.show_progress = show_progress

    def write(
        self,
        identity: str,
        read: Callable[[BrokenRecords], Iterable[tuple[str, str]]],
        *,
        sides: tuple[str, ...],
        num_bytes: int | None = None,
    ) -> _WrittenStreams:
        """Tokenize what `read` yields, unless documents of the same identity were tokenized like this before."""

        def build(folder: Path) -> None:
            broken = BrokenRecords(self.max_broken_share)
            write_streams(
                read(broken),
                folder,
                sides=sides,
                framing=self.framing,
                tokenizer_json=self.tokenizer_json,
                dtype=self.dtype,
                num_workers=self.num_workers,
                num_bytes=num_bytes,
                show_progress=self.show_progress,
            )
            (folder / "records.json").write_text(json.dumps(asdict(broken)))

        key = digest([FORMAT_VERSION, identity, self.tokenizer_json, repr(self.framing)])
        folder, from_cache = built_once("tokens", key, build)
        counted = json.loads((folder / "records.json").read_text())
        broken = BrokenRecords(**{**counted, "max_share": self.max_broken_share})
        broken.check()  # whoever wrote them may have allowed more
        return _WrittenStreams({side: TokenStream.open(folder / side) for side in sides}, broken, from_cache)

    def pack(self, stream: TokenStream, name: str, max_blocks: int | None) -> PackedBlocks | MaskedBlocks:
        blocks = PackedBlocks(
            stream,
            self.block_size if self.masking is None else self.masking.tokens_per_block,
            pad_token_id=self.pad_token_id,
            bos_token_id=self.framing.bos_token_id,
            isolate_documents=self.isolate_documents,
            overlap=1 if self.masking is None else 0,
            max_blocks=max_blocks,
            name=name,
        )
        return blocks if self.masking is None else MaskedBlocks(blocks, self.masking, self.seed)

    def stream(self, corpus: Corpus) -> StreamingBlocks:
        broken = BrokenRecords(self.max_broken_share)

        def read_texts(start: int) -> Iterator[str]:
            broken.restart()
            yield from islice(corpus.training_texts(broken), start, None)
            broken.check()

        return StreamingBlocks(
            read_texts,
            self.tokenizer_json,
            self.framing,
            self.block_size,
            pad_token_id=self.pad_token_id,
            isolate_documents=self.isolate_documents,
            broken=broken,
        )


def trained_tokenizer(
    corpus: LearnedFrom, identity: str, request: TokenizerRequest, show_progress: bool
) -> PreTrainedTokenizerBase:
    """Train the tokenizer, or find it in the cache.

    Args:
        corpus: Whose training side it learns from.
        identity: Digest of the corpus; of a stream, of its name and its beginning.
        request: What is to be trained.
        show_progress: Show a progress bar while learning.
    """
    # Broken records are judged where the text is tokenized, not here.
    sample = partial(corpus.training_texts, BrokenRecords(max_share=1.0), TOKENIZER_TRAINING_BYTES)

    def build(folder: Path) -> None:
        trained = train_tokenizer(
            request.kind, sample(), request.vocab_size, objective=request.objective, show_progress=show_progress
        )
        trained.save_pretrained(folder)

    key = [FORMAT_VERSION, identity, request.kind, str(request.vocab_size), request.objective]
    folder, _ = built_once("tokenizers", digest(key), build)

    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder)
