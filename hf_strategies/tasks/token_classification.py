"""A tag for each word, such as the names in a text; scored by whole entities."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset
from transformers import DataCollatorForTokenClassification, EvalPrediction

from hf_strategies.augmentation.augmented import AugmentedRows
from hf_strategies.data.labelled import Columns, Row, Sides, read_sides
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError
from hf_strategies.metrics import compute_metrics
from hf_strategies.metrics.entities import is_entity_tag
from hf_strategies.metrics.inputs import IGNORED, first_output
from hf_strategies.tasks import labels
from hf_strategies.tasks.task import TaskSettings
from hf_strategies.tasks.texts import count_cut

ENTITY_METRICS = ("entity_f1", "entity_precision", "entity_recall", "accuracy")
TAG_METRICS = ("accuracy", "f1_macro")


class TokenClassification:
    """Tag words: rows hold a list of words and a list of as many tags."""

    head = "token-classification"
    greater_is_better = True
    keeps_words = True
    embedded = ""

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings
        self.text_fields = (settings.text_column,)
        self.tags: tuple[str, ...] = ()
        self.notes: list[str] = []

    @property
    def columns(self) -> Columns:
        names = (self.settings.text_column, self.settings.label_column)
        return Columns(names=(names,), problem=self._problem, key=lambda row: " ".join(row[self.settings.text_column]))

    @property
    def metric(self) -> str:
        return self.metrics[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Of entities, where the tags spell them out; else (parts of speech) of tags."""
        return ENTITY_METRICS if all(map(is_entity_tag, self.tags)) else TAG_METRICS

    def read(self, train: DataSource, validation: DataSource | None, processor: Any, **limits: Any) -> Sides:
        return read_sides(train, validation, self.columns, **limits)

    def settle(self, train: Sequence[Row], validation: Sequence[Row], known: Sequence[str]) -> list[str]:
        learned, held = ([row[self.settings.label_column] for row in rows] for rows in (train, validation))
        self.tags = labels.find_labels(learned, held, known=known).names
        if len(self.tags) < 2:
            raise UserError(f"labels: expected two tags or more, got only {self.tags[0]!r}: nothing can be learned")
        return [note for note in [labels.unseen(learned, held)] if note]

    @property
    def config(self) -> dict[str, Any]:
        return {key: value for key, value in labels.Labels("", self.tags).config.items() if key != "problem_type"}

    def dataset(self, side: str, rows: Sequence[Row], processor: Any, *, seed: int, augment: Any = None) -> Dataset:
        words = [list(row[self.settings.text_column]) for row in rows]
        known = partial(processor, is_split_into_words=True, verbose=False)
        self.notes += count_cut(words, known, self.settings.max_seq_length, what=f"{side} rows")
        return AugmentedRows(rows, self.text_fields, partial(encode, self.settings, self.tags, processor), augment)

    def classes(self, rows: Sequence[Row]) -> list[int] | None:
        return None

    def collator(self, processor: Any) -> Callable[[list], dict[str, Tensor]]:
        return DataCollatorForTokenClassification(processor)

    def reduce_logits(self, logits: Any, labels: Tensor) -> Any:
        return first_output(logits).argmax(dim=-1)

    def score(self, prediction: EvalPrediction) -> dict[str, float]:
        predicted, true = self._words(prediction.predictions, prediction.label_ids)
        return compute_metrics(self.metrics, predicted, true)

    def _words(self, predicted: Any, true: Any) -> tuple[list[list[str]], list[list[str]]]:
        """Bring both back to one tag per word, those of rows that were padded left out."""
        kept = np.asarray(true) != IGNORED
        return tuple(
            [[self.tags[tag] for tag in row[keep]] for row, keep in zip(np.asarray(rows), kept, strict=True)]
            for rows in (predicted, true)
        )  # type: ignore[return-value]

    def _problem(self, row: Row) -> str:
        words, tags = row[self.settings.text_column], row[self.settings.label_column]
        if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
            return f"{self.settings.text_column!r} is not a list of words"
        if not isinstance(tags, list) or len(tags) != len(words):
            found = f"{len(tags)} tags" if isinstance(tags, list) else "no list of tags"
            return f"{len(words)} words, but {found}"
        return labels.problem_of(tags)


def encode(settings: TaskSettings, tags: Sequence[str], tokenizer: Any, row: Row) -> dict[str, Any]:
    """Make a model's inputs of a row; a word's tag stands at its first token, the others are not learned."""
    words = row[settings.text_column]
    features = tokenizer(words, is_split_into_words=True, truncation=True, max_length=settings.max_seq_length)
    numbers = {tag: number for number, tag in enumerate(tags)}
    named = [numbers[labels.name_of(tag)] for tag in row[settings.label_column]]
    places = features.word_ids()
    firsts = [None, *places[:-1]]
    found = [
        IGNORED if place is None or place == before else named[place]
        for place, before in zip(places, firsts, strict=True)
    ]
    return {**features, "labels": found}
