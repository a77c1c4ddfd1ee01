"""From one text to another, by an encoder-decoder: translation, summarisation, answers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset
from transformers import DataCollatorForSeq2Seq, EvalPrediction

from hf_strategies.augmentation.augmented import AugmentedRows
from hf_strategies.data.labelled import Columns, Row, Sides, read_sides
from hf_strategies.data.sources import DataSource
from hf_strategies.metrics import compute_metrics
from hf_strategies.tasks.task import TaskSettings

IGNORED = -100


class Seq2Seq:
    """Write the target text of a source text; evaluated by what the model generates."""

    head = "seq2seq"
    metric = "chrf"
    greater_is_better = True
    keeps_words = False
    embedded = ""

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings
        self.text_fields = (settings.text_column,)
        self._tokenizer: Any = None

    @property
    def columns(self) -> Columns:
        names = (self.settings.text_column, self.settings.label_column)
        return Columns(names=(names,), problem=self._problem, key=lambda row: row[self.settings.text_column])

    def read(self, train: DataSource, validation: DataSource | None, processor: Any, **limits: Any) -> Sides:
        return read_sides(train, validation, self.columns, **limits)

    def settle(self, train: Sequence[Row], validation: Sequence[Row], known: Sequence[str]) -> list[str]:
        return []

    @property
    def config(self) -> dict[str, Any]:
        return {}

    def dataset(self, side: str, rows: Sequence[Row], processor: Any, *, seed: int, augment: Any = None) -> Dataset:
        self._tokenizer = processor
        return AugmentedRows(rows, self.text_fields, partial(encode, self.settings, processor), augment)

    def classes(self, rows: Sequence[Row]) -> list[int] | None:
        return None

    def collator(self, processor: Any) -> Callable[[list], dict[str, Tensor]]:
        return DataCollatorForSeq2Seq(processor, label_pad_token_id=IGNORED)

    def reduce_logits(self, logits: Any, labels: Tensor) -> Any:
        return logits

    def score(self, prediction: EvalPrediction) -> dict[str, float]:
        written, true = (self._texts(rows) for rows in (prediction.predictions, prediction.label_ids))
        return compute_metrics(("chrf", "bleu", "rouge1", "rouge2", "rougeL", "exact_match"), written, true)

    def _texts(self, rows: Any) -> list[str]:
        tokens = np.where(np.asarray(rows) == IGNORED, self._tokenizer.pad_token_id, rows)
        return [text.strip() for text in self._tokenizer.batch_decode(tokens, skip_special_tokens=True)]

    def _problem(self, row: Row) -> str:
        for name in (self.settings.text_column, self.settings.label_column):
            if not isinstance(row[name], str):
                return f"{name!r} is not a text"
            if not row[name].strip():
                return f"{name!r} is empty"
        return ""


def encode(settings: TaskSettings, tokenizer: Any, row: Row) -> dict[str, Any]:
    """Make a model's inputs of a row: source and target, each cut to its length."""
    source = tokenizer(row[settings.text_column], truncation=True, max_length=settings.max_seq_length)
    target = tokenizer(text_target=row[settings.label_column], truncation=True, max_length=settings.max_target_length)
    return {**source, "labels": target["input_ids"]}
