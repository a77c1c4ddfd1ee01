"""From one text to another, by an encoder-decoder: translation, summarisation, answers."""

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset
from transformers import DataCollatorForSeq2Seq, EvalPrediction

from hf_strategies.augmentation.augmented import AugmentedRows
from hf_strategies.data.labelled import Columns, Row, Sides, read_sides
from hf_strategies.data.sources import DataSource
from hf_strategies.metrics import compute_metrics
from hf_strategies.metrics.generation import rouge_reads
from hf_strategies.metrics.inputs import IGNORED
from hf_strategies.metrics.scoring import check_package
from hf_strategies.tasks.task import Question, TaskSettings
from hf_strategies.tasks.texts import count_cut, problem_of_text

METRIC = "chrf"
GENERAL = (METRIC, "bleu", "exact_match")
ROUGE = ("rouge1", "rouge2", "rougeL")  # reads English letters alone


class Seq2Seq:
    """Write the target text of a source text; evaluated by what the model generates."""

    head = "seq2seq"
    metric = METRIC
    greater_is_better = True
    keeps_words = False
    embedded = ""

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings
        self.text_fields = (settings.text_column,)
        self.notes: list[str] = []
        self.metrics: tuple[str, ...] = GENERAL
        self._tokenizer: Any = None

    @property
    def columns(self) -> Columns:
        names = (self.settings.text_column, self.settings.label_column)
        return Columns(names=(names,), problem=self._problem, key=itemgetter(self.settings.text_column))

    def read(self, train: DataSource, validation: DataSource | None, processor: Any, **limits: Any) -> Sides:
        return read_sides(train, validation, self.columns, **limits)

    def settle(self, train: Sequence[Row], validation: Sequence[Row], known: Sequence[str]) -> list[str]:
        targets = [row[self.settings.label_column] for row in validation]
        self.metrics = (*GENERAL, *ROUGE) if rouge_reads(targets) else GENERAL
        for name in self.metrics:
            check_package(name)
        return []

    @property
    def config(self) -> dict[str, Any]:
        return {}

    def dataset(self, side: str, rows: Sequence[Row], processor: Any, *, seed: int, augment: Any = None) -> Dataset:
        self._tokenizer = processor
        settings = self.settings
        for column, length, encode_some, what in (
            (settings.text_column, settings.max_seq_length, partial(processor, verbose=False), "source"),
            (settings.label_column, settings.max_target_length, partial(_as_targets, processor), "target"),
        ):
            texts = [row[column] for row in rows]
            self.notes += count_cut(texts, encode_some, length, what=f"{what} texts of {side} rows")
        return AugmentedRows(rows, self.text_fields, partial(encode, self.settings, processor), augment)

    def classes(self, rows: Sequence[Row]) -> list[int] | None:
        return None

    def collator(self, processor: Any) -> Callable[[list], dict[str, Tensor]]:
        return DataCollatorForSeq2Seq(processor, label_pad_token_id=IGNORED)

    def reduce_logits(self, logits: Any, labels: Tensor) -> Any:
        return logits

    def score(self, prediction: EvalPrediction) -> dict[str, float]:
        written, true = (self.texts(rows) for rows in (prediction.predictions, prediction.label_ids))
        return compute_metrics(self.metrics, written, true)

    def question(self, row: Row, processor: Any) -> Question:
        source, target = row[self.settings.text_column], row[self.settings.label_column]
        return Question(source, encode(self.settings, processor, row)["input_ids"], target)

    def texts(self, rows: Any) -> list[str]:
        """Write out rows of tokens, IGNORED where there is none, without special tokens. `[rows, tokens]`"""
        tokens = np.where(np.asarray(rows) == IGNORED, self._tokenizer.pad_token_id, rows)
        return [text.strip() for text in self._tokenizer.batch_decode(tokens, skip_special_tokens=True)]

    def _problem(self, row: Row) -> str:
        return problem_of_text(row, (self.settings.text_column, self.settings.label_column))


def _as_targets(tokenizer: Any, texts: list[str]) -> Any:
    return tokenizer(text_target=texts, verbose=False)


def encode(settings: TaskSettings, tokenizer: Any, row: Row) -> dict[str, Any]:
    """Make a model's inputs of a row: source and target, each cut to its length."""
    source = tokenizer(row[settings.text_column], truncation=True, max_length=settings.max_seq_length)
    target = tokenizer(text_target=row[settings.label_column], truncation=True, max_length=settings.max_target_length)
    return {**source, "labels": target["input_ids"]}
