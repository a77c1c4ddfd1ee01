"""The last evaluation of a fine-tuning run: its scores, and what its report shows of the predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from hf_strategies.data.labelled import Row
from hf_strategies.reports.confusion import count_confusions
from hf_strategies.reports.mistakes import worst_mistakes
from hf_strategies.reports.predictions import PredictionReport
from hf_strategies.tasks.labels import SINGLE
from hf_strategies.tasks.task import Task


def report_predictions(
    trainer: Any, task: Task, validation: Dataset, rows: Sequence[Row]
) -> tuple[PredictionReport | None, dict[str, float]]:
    """Evaluate the final weights.

    Returns:
        Which classes are taken for which, and the worst mistakes, where a row has one class; and the scores.
    """
    predicted = trainer.predict(validation, metric_key_prefix="eval")
    if task.config.get("problem_type") != SINGLE:
        return None, predicted.metrics
    names = list(task.config["id2label"].values())
    confusion = count_confusions(predicted.predictions, predicted.label_ids, names)
    mistakes = worst_mistakes(predicted.predictions, predicted.label_ids, names, lambda row: shown(task, rows[row]))
    return PredictionReport(confusion=confusion, mistakes=mistakes), predicted.metrics


def shown(task: Task, row: Row) -> Any:
    """Return what a reader recognises a row by: its texts, or its picture."""
    if task.text_fields:
        return " / ".join(row[field] for field in task.text_fields)
    pixels = row["image"] if "image" in row else middle_frame(row["clip"])
    return Image.fromarray(pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels[0])


def middle_frame(clip: np.ndarray) -> np.ndarray:
    """Return a clip's middle frame as pixels, `[channels, height, width]`, uint8; other numbers fill their range."""
    frame = clip[:, clip.shape[1] // 2]
    if frame.dtype == np.uint8:
        return frame
    lowest, highest = float(frame.min()), float(frame.max())
    return ((frame - lowest) * (255.0 / (highest - lowest or 1.0))).astype(np.uint8)
