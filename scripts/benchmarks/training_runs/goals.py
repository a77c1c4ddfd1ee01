"""What was aimed for, what was seen, and by how much it differs."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Floor:
    """A figure that should be at least so much.

    Args:
        name: The figure in words.
        at_least: The aim.
        seen: One value per seed, or the only one.
    """

    name: str
    at_least: float
    seen: Sequence[float]

    def row(self) -> dict[str, Any]:
        """Aim, mean, range over several seeds, and the verdict, which the mean decides."""
        mean = statistics.fmean(self.seen)
        extremes = {"range": range_of(self.seen)} if len(self.seen) > 1 else {}
        missed = "met" if mean >= self.at_least else f"missed by {self.at_least - mean:.3g}"
        return {
            "goal": self.name,
            "at_least": round(self.at_least, 3),
            "seen": round(mean, 3),
            **extremes,
            "verdict": missed,
        }


@dataclass(frozen=True)
class Goal:
    """A ratio that should be at most so much.

    Args:
        name: The ratio in words.
        at_most: The aim.
        seen: One value per seed, or the only one; infinite where the ratio was not reached at all.
    """

    name: str
    at_most: float
    seen: Sequence[float]

    def row(self) -> dict[str, Any]:
        """Aim, mean, range over several seeds, and the verdict, which the mean decides."""
        mean = statistics.fmean(self.seen)
        extremes = {"range": range_of(self.seen)} if len(self.seen) > 1 else {}
        return {
            "goal": self.name,
            "at_most": round(self.at_most, 3),
            "seen": round(mean, 3) if math.isfinite(mean) else "not reached",
            **extremes,
            "verdict": verdict(mean, self.at_most),
        }


def range_of(values: Sequence[float], digits: int = 3) -> str:
    """Write the extremes of what the seeds gave; nothing for a single one."""
    if len(values) < 2:
        return ""
    low, high = (f"{value:.{digits}f}" if math.isfinite(value) else "none" for value in (min(values), max(values)))
    return f"{low} to {high}"


def verdict(seen: float, at_most: float) -> str:
    """Say "met", or by how much it was missed."""
    if seen <= at_most:
        return "met"
    if at_most == 0:
        return f"missed by {seen:.3g}"
    return f"missed by {seen / at_most - 1:.0%}" if math.isfinite(seen) else "missed"


def excess_over_best(losses: Sequence[float]) -> float:
    """Mean height of losses over the best of them."""
    return statistics.fmean(losses) - min(losses)
