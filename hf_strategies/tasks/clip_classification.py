"""What a clip shows: moving pictures, or any numbers in space and time."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import EvalPrediction

from hf_strategies.data.clips import read_clip_sides
from hf_strategies.data.labelled import Row, Sides
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError
from hf_strategies.metrics import compute_metrics
from hf_strategies.metrics.inputs import first_output
from hf_strategies.tasks import labels
from hf_strategies.tasks.image_classification import ImageShape, of_channels
from hf_strategies.tasks.task import TaskSettings


class ClipRows(Dataset):
    """Clips as the host's video models take them, frames before channels.

    Whole numbers are pixels, and normalised as the model has its images; fractions stay as they are.

    Args:
        rows: With `clip` and `label`.
        classes: Number of each row's class.
        shape: With the mean and standard deviation of pixels.
    """

    draws_nothing = True

    def __init__(self, rows: Sequence[Row], classes: Sequence[int], shape: ImageShape) -> None:
        self.rows = rows
        self.classes = classes
        self.shape = shape

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        clip = self.rows[index]["clip"]
        values = clip.astype(np.float32)
        if clip.dtype.kind in "ui":
            mean, std = (
                np.reshape(of_channels(each, len(clip)), (-1, 1, 1, 1)).astype(np.float32)
                for each in (self.shape.mean, self.shape.std)
            )
            values = (values / np.iinfo(clip.dtype).max - mean) / std
        return {"pixel_values": torch.from_numpy(values.swapaxes(0, 1).copy()), "labels": self.classes[index]}


class ClipClassification:
    """Classify clips."""

    head = "video-classification"
    metric = "accuracy"
    metrics = (metric, "f1_macro")
    greater_is_better = True
    text_fields: tuple[str, ...] = ()
    keeps_words = False
    embedded = ""
    notes: tuple[str, ...] = ()

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings
        self.labels = labels.Labels(labels.SINGLE, ())

    def read(self, train: DataSource, validation: DataSource | None, processor: Any, **limits: Any) -> Sides:
        return read_clip_sides(train, validation, problem=labels.problem_of, classes=labels.classes_of, **limits)

    def settle(self, train: Sequence[Row], validation: Sequence[Row], known: Sequence[str]) -> list[str]:
        learned, held = ([row["label"] for row in rows] for rows in (train, validation))
        self.labels = labels.find_labels(learned, held, known=known)
        if self.labels.kind != labels.SINGLE:
            raise UserError("labels: clips have one class each, got numbers with a fraction")
        return [note for note in [labels.unseen(learned, held)] if note]

    @property
    def config(self) -> dict[str, Any]:
        return self.labels.config

    def dataset(self, side: str, rows: Sequence[Row], processor: Any, *, seed: int, augment: Any = None) -> Dataset:
        return ClipRows(rows, [self.labels.names.index(labels.name_of(row["label"])) for row in rows], processor)

    def classes(self, rows: Sequence[Row]) -> list[int] | None:
        return self.labels.numbers(row["label"] for row in rows)

    def collator(self, processor: Any) -> Callable[[list], dict[str, Tensor]]:
        return torch.utils.data.default_collate

    def reduce_logits(self, logits: Any, labels: Tensor) -> Any:
        return first_output(logits)

    def score(self, prediction: EvalPrediction) -> dict[str, float]:
        return compute_metrics(self.metrics, prediction.predictions, prediction.label_ids)
