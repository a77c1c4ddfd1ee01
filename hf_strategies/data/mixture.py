"""From the sources of a mixture to blocks of tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hf_strategies.data.cache import digest
from hf_strategies.data.corpus import Corpus
from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.mixed_blocks import JoinedBlocks, MixedBlocks
from hf_strategies.data.mixture_request import MixtureSource, order_of
from hf_strategies.data.packing import PackedBlocks
from hf_strategies.data.preparation import PreparedText, prepare_text, trained_tokenizer
from hf_strategies.data.preparation_report import PreparationReport
from hf_strategies.data.tokenizers import TokenizerRequest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def prepare_mixture(
    sources: Sequence[MixtureSource],
    *,
    tokenizer: PreTrainedTokenizerBase | TokenizerRequest,
    num_samples: int,
    seed: int,
    validation_share: float = 0.05,
    **options: Any,
) -> PreparedText:
    """Prepare every source as `prepare_text` does, and mix their blocks.

    Args:
        sources: Of the mixture.
        tokenizer: A tokenizer, or a request to train one on all of them, of each as much as it weighs in the run.
        num_samples: Of the whole run.
        seed: Of the orders within sources.
        validation_share: As of `prepare_text`.
        options: `block_size`, `max_eval_blocks` (of each source) and others of `prepare_text` that mixtures have.

    Raises:
        UserError: As of `prepare_text`.
    """
    started = time.perf_counter()
    if isinstance(tokenizer, TokenizerRequest):
        together = _Together(sources, validation_share)
        tokenizer = trained_tokenizer(together, together.identity(), tokenizer, options.get("show_progress", False))
    prepared = {
        source.name: prepare_text(
            source.train, source.validation, tokenizer=tokenizer, validation_share=validation_share, **options
        )
        for source in sources
    }
    train = {name: text.train for name, text in prepared.items() if isinstance(text.train, PackedBlocks)}
    held_out = {name: text.validation for name, text in prepared.items() if isinstance(text.validation, PackedBlocks)}
    mixed = MixedBlocks(train, order_of(tuple(sources), num_samples), num_samples, seed)
    reports = {name: text.report for name, text in prepared.items()}
    report = PreparationReport(
        sides={f"{name} {side}": counts for name, report in reports.items() for side, counts in report.sides.items()},
        broken="\n".join(f"{name}: {report.broken}" for name, report in reports.items() if report.broken),
        from_cache=all(report.from_cache for report in reports.values()),
        seconds=time.perf_counter() - started,
        notes=[
            *(f"{name}: {epochs:.2f} epochs" for name, epochs in mixed.epochs().items()),
            *(f"{name} {note}" for name, report in reports.items() for note in report.notes),
        ],
    )
    weights = [str(source.weights) for source in sources]
    identity = digest([*weights, *(str(text.identity) for text in prepared.values())])
    return PreparedText(tokenizer, mixed, JoinedBlocks(held_out), report, identity)


class _Together:
    """The training texts of all sources, for a tokenizer to learn from."""

    def __init__(self, sources: Sequence[MixtureSource], validation_share: float) -> None:
        self.corpora = [
            (Corpus(source.train, source.validation, validation_share=validation_share), source.mean_weight())
            for source in sources
        ]

    def identity(self) -> str:
        return digest(part for corpus, weight in self.corpora for part in (corpus.identity(), str(weight)))

    def training_texts(self, broken: BrokenRecords, max_bytes: int) -> Iterator[str]:
        for corpus, weight in self.corpora:
            yield from corpus.training_texts(broken, int(max_bytes * weight))
