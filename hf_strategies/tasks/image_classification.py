"""What an image shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import EvalPrediction

from hf_strategies.augmentation import ImageSpec
from hf_strategies.augmentation.augmented_images import AugmentedImages
from hf_strategies.data.images import read_image_sides
from hf_strategies.data.labelled import Row, Sides
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError
from hf_strategies.metrics import compute_metrics
from hf_strategies.metrics.inputs import first_output
from hf_strategies.tasks import labels
from hf_strategies.tasks.task import TaskSettings

TOP_K = 5


@dataclass(frozen=True, kw_only=True)
class ImageShape:
    """How a model wants its images.

    Args:
        size: Height and width, in pixels; None takes them as they are.
        num_channels: 1 or 3; None takes grey where all images are.
        mean: Of each channel, of pixels in [0, 1]; a single value holds for all.
        std: Of each channel.
    """

    size: int | None = None
    num_channels: int | None = None
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)


class LoadImage:
    """Load one image of a side and the number of its class.

    Args:
        rows: The side's.
        found: Its labels.
    """

    def __init__(self, rows: Sequence[Row], found: labels.Labels) -> None:
        self.rows = rows
        self.classes = [found.names.index(labels.name_of(row["label"])) for row in rows]

    def __call__(self, index: int) -> tuple[Tensor, int]:
        return torch.from_numpy(self.rows[index]["image"]), self.classes[index]


class ImageClassification:
    """Classify images; without any named, the digits that scikit-learn ships."""

    head = "image-classification"
    metric = "accuracy"
    greater_is_better = True
    text_fields: tuple[str, ...] = ()
    keeps_words = False
    embedded = "scikit-learn's handwritten digits"
    notes: tuple[str, ...] = ()

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings
        self.labels = labels.Labels(labels.SINGLE, ())

    def read(self, train: DataSource, validation: DataSource | None, processor: ImageShape, **limits: Any) -> Sides:
        columns = (self.settings.image_column, self.settings.label_column)
        return read_image_sides(
            train,
            validation,
            columns=columns,
            problem=labels.problem_of,
            classes=labels.classes_of,
            size=processor.size,
            num_channels=processor.num_channels,
            **limits,
        )

    def settle(self, train: Sequence[Row], validation: Sequence[Row], known: Sequence[str]) -> list[str]:
        learned, held = ([row["label"] for row in rows] for rows in (train, validation))
        self.labels = labels.find_labels(learned, held, known=known)
        if self.labels.kind != labels.SINGLE:
            raise UserError(f"labels: images have one class each, got {self.labels.kind.replace('_', ' ')} labels")
        return [note for note in [labels.unseen(learned, held)] if note]

    @property
    def config(self) -> dict[str, Any]:
        return self.labels.config

    def dataset(
        self, side: str, rows: Sequence[Row], processor: ImageShape, *, seed: int, augment: ImageSpec | None = None
    ) -> Dataset:
        num_channels = rows[0]["image"].shape[0]
        return AugmentedImages(
            LoadImage(rows, self.labels),
            augment or ImageSpec(),
            seed=seed,
            num_examples=len(rows),
            num_labels=len(self.labels.names),
            mean=of_channels(processor.mean, num_channels),
            std=of_channels(processor.std, num_channels),
        )

    def classes(self, rows: Sequence[Row]) -> list[int] | None:
        return self.labels.numbers(row["label"] for row in rows)

    def collator(self, processor: Any) -> Callable[[list], dict[str, Tensor]]:
        return AugmentedImages.collate

    def reduce_logits(self, logits: Any, labels: Tensor) -> Any:
        return first_output(logits)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Top-k is of little use where chance alone gets near to it."""
        return ("accuracy", "f1_macro", *(["top_k_accuracy"] if len(self.labels.names) > 2 * TOP_K else []))

    def score(self, prediction: EvalPrediction) -> dict[str, float]:
        return compute_metrics(self.metrics, prediction.predictions, prediction.label_ids)


def of_channels(values: tuple[float, ...], num_channels: int) -> tuple[float, ...]:
    """Give every channel a value of its own: one for all is repeated, those of three colours become grey's mean."""
    if len(values) == num_channels:
        return values
    return (sum(values) / len(values),) * num_channels
