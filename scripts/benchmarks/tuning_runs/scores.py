"""The spread of scores over seeds."""

import statistics
from collections.abc import Sequence
from typing import Any

from hf_strategies.reports import format_count

from .trial import TunedRow

# A run whose last weights are scored: no evaluation has chosen them, so its validation rows are test rows.
LAST: dict[str, Any] = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}


def scores_of(rows: Sequence[TunedRow], score: str) -> dict[str, list[float]]:
    """Collect a score by contender, in the order of seeds."""
    found: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: row.seed):
        found.setdefault(row.contender, []).append(row.results[score])
    return found


def spread(values: Sequence[float]) -> float:
    """Standard deviation of a sample; 0 where there is but one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def summary(rows: Sequence[TunedRow], score: str) -> dict[str, Any]:
    """Say how the seeds of a contender did."""
    values = [row.results[score] for row in rows]
    return {
        "mean": f"{statistics.fmean(values):.3f}",
        "std": f"{spread(values):.3f}",
        "worst": f"{min(values):.3f}",
        "seeds": len(values),
    }


def costs(rows: Sequence[TunedRow]) -> dict[str, Any]:
    """Say what a contender trains, and what one of its runs takes: the whole process."""
    return {
        "learn": format_count(rows[0].results["trained_parameters"]),
        "peak_MB": round(statistics.median(row.results["peak_memory_bytes"] for row in rows) / 1e6),
        "seconds": round(statistics.median(row.wall_seconds for row in rows), 1),
    }
