"""What a run logged, update by update, and how far another run's is from it."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

SHOWN = {"loss": "loss", "grad_norm": "gradient norm", "eval_loss": "evaluation loss"}  # as logged, and in the table


def read_curves(folder: Path) -> dict[str, list[float]]:
    """Read what a finished run logged, by the names of `SHOWN`."""
    history = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    return {name: [row[name] for row in history if name in row] for name in SHOWN}


def residuals(curves: dict[str, list[float]], reference: dict[str, list[float]]) -> dict[str, float]:
    """Return the largest relative difference of each curve; infinite where one has other updates than the other."""
    return {name: residual(curves[name], reference[name]) for name in SHOWN}


def residual(values: Sequence[float], reference: Sequence[float]) -> float:
    if len(values) != len(reference) or not reference:
        return math.inf
    differences = [abs(value / expected - 1.0) for value, expected in zip(values, reference, strict=True)]
    return max(differences) if all(map(math.isfinite, differences)) else math.inf
