"""One text or a pair of them, and what it is: one class, several, or a number."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset
from transformers import DataCollatorWithPadding, EvalPrediction

from hf_strategies.augmentation.augmented import AugmentedRows
from hf_strategies.data.labelled import Columns, Row, Sides, read_sides
from hf_strategies.data.sources import DataSource
from hf_strategies.metrics import compute_metrics
from hf_strategies.metrics.inputs import first_output
from hf_strategies.tasks import labels
from hf_strategies.tasks.task import TaskSettings
from hf_strategies.tasks.texts import content_of, count_cut, problem_of_text

METRICS = {
    labels.SINGLE: ("accuracy", "f1_macro", "matthews_correlation"),
    labels.MULTI: ("multilabel_f1_micro", "multilabel_f1_macro", "subset_accuracy"),
    labels.REGRESSION: ("pearson", "spearman", "mean_squared_error"),
}


class TextClassification:
    """Classify texts, or pairs of texts; a list of labels per row makes it multi-label, fractions a regression."""

    head = "sequence-classification"
    greater_is_better = True
    keeps_words = False
    embedded = ""

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings
        names = [settings.text_column, *([settings.text_pair_column] if settings.text_pair_column else [])]
        self.text_fields = tuple(names)
        self.labels = labels.Labels(labels.SINGLE, ())
        self.notes: list[str] = []

    @property
    def columns(self) -> Columns:
        names = (*self.text_fields, self.settings.label_column)
        return Columns(
            names=(names,),
            problem=self._problem,
            key=partial(content_of, fields=self.text_fields),
            classes=self._classes_of,
        )

    @property
    def metric(self) -> str:
        return self.metrics[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        return METRICS[self.labels.kind]

    def read(self, train: DataSource, validation: DataSource | None, processor: Any, **limits: Any) -> Sides:
        return read_sides(train, validation, self.columns, **limits)

    def settle(self, train: Sequence[Row], validation: Sequence[Row], known: Sequence[str]) -> list[str]:
        learned, held = ([row[self.settings.label_column] for row in rows] for rows in (train, validation))
        self.labels = labels.find_labels(learned, held, known=known, regression=self.settings.regression)
        if self.labels.kind == labels.REGRESSION:
            return [] if self.settings.regression else [labels.taken_as_values([*learned, *held])]
        return [note for note in [labels.unseen(learned, held)] if note]

    @property
    def config(self) -> dict[str, Any]:
        return self.labels.config

    def dataset(self, side: str, rows: Sequence[Row], processor: Any, *, seed: int, augment: Any = None) -> Dataset:
        texts = [tuple(row[name] for name in self.text_fields) for row in rows]
        self.notes += count_cut(
            texts,
            lambda some: processor(*map(list, zip(*some)), verbose=False),
            self.settings.max_seq_length,
            what=f"{side} rows",
        )
        return AugmentedRows(
            rows, self.text_fields, partial(encode, self.text_fields, self.settings, self.labels, processor), augment
        )

    def classes(self, rows: Sequence[Row]) -> list[int] | None:
        return self.labels.numbers(row[self.settings.label_column] for row in rows)

    def collator(self, processor: Any) -> Callable[[list], dict[str, Tensor]]:
        return DataCollatorWithPadding(processor)

    def reduce_logits(self, logits: Any, labels: Tensor) -> Any:
        return first_output(logits)

    def score(self, prediction: EvalPrediction) -> dict[str, float]:
        predicted = np.asarray(prediction.predictions)
        if self.labels.kind == labels.MULTI:
            predicted = predicted > 0  # logits: a label is there where its probability is above one half
        return compute_metrics(self.metrics, predicted, prediction.label_ids)

    def _classes_of(self, rows: Sequence[Row]) -> list[str | None]:
        found = [row[self.settings.label_column] for row in rows]
        return labels.classes_of(found, regression=self.settings.regression)

    def _problem(self, row: Row) -> str:
        return problem_of_text(row, self.text_fields) or labels.problem_of(row[self.settings.label_column])


def encode(
    fields: Sequence[str], settings: TaskSettings, found: labels.Labels, tokenizer: Any, row: Row
) -> dict[str, Any]:
    """Make a model's inputs of a row, cut to `max_seq_length`; the longer text of a pair is cut first."""
    features = tokenizer(*(row[name] for name in fields), truncation=True, max_length=settings.max_seq_length)
    return {**features, "labels": found.encode(row[settings.label_column])}
