"""What a training step costs as rows get longer, for every causal architecture: its square with attention, or less.

A step is a forward and a backward pass over one row of random tokens, by a narrow model, so that a block's mixing of
tokens outweighs the rest of it early; on a CPU its time is that of all cores, whatever else runs, in a process that
keeps all memory it once had, as on a GPU. The exponent is the slope of log time over log length, fitted to the longer
half of the lengths: 1 where cost grows as a row does, 2 where it grows as its square.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import Findings, Table, require_at_least
from .training_runs.goals import Floor, Goal

if TYPE_CHECKING:
    from .timing.row_lengths import Growth

QUADRATIC, NEAR_LINEAR = 1.7, 1.2  # at least, and at most


def run(
    *,
    lengths: tuple[int, ...] = (512, 1024, 2048, 4096, 8192, 16384),
    architectures: tuple[str, ...] = (),
    hidden_size: int = 64,
    num_hidden_layers: int = 2,
    repetitions: int = 5,
) -> Findings:
    """Time every architecture at every length, in turn; some three minutes on one core.

    Args:
        lengths: Tokens per row, shortest first; two at least.
        architectures: Which of them; none takes all that predict the next token.
        hidden_size: Width of the models.
        num_hidden_layers: Their depth.
        repetitions: Steps of each at each length, of which the first find no memory yet; medians are reported.

    Returns:
        The goals, one row for each architecture with its exponent and its milliseconds at each length, and a picture.
    """
    from hf_strategies.errors import UserError
    from hf_strategies.models import ARCHITECTURES

    require_at_least(1, hidden_size=hidden_size, num_hidden_layers=num_hidden_layers, repetitions=repetitions)
    if len(lengths) < 2 or list(lengths) != sorted(set(lengths)) or lengths[0] < 2:
        raise UserError(f"--lengths must be two or more, of at least 2, each above the last, got {lengths}")
    names = architectures or [entry.name for entry in ARCHITECTURES if "causal" in entry.facts["objectives"]]
    for name in names:
        if "causal" not in ARCHITECTURES[name].facts["objectives"]:
            raise UserError(f"--architectures: {name} does not predict the next token")

    from .timing.row_lengths import time_lengths
    from .training_runs.pictures import draw_growth, picture_path

    sizes = {"hidden_size": hidden_size, "num_hidden_layers": num_hidden_layers}
    found = time_lengths(names, lengths, sizes=sizes, repetitions=repetitions)
    picture = picture_path("lengths")
    draw_growth({name: (growth.seconds, growth.attends) for name, growth in found.items()}, picture)
    return Findings(
        [Table([goal.row() for goal in goals_of(found)], "goals, as exponents"), Table(rows_of(found))],
        [(picture, "Time of a step by length")],
        remarks=[f"{name}: {growth.mixing}." for name, growth in found.items()],
    )


def goals_of(found: Mapping[str, "Growth"]) -> list[Goal | Floor]:
    """Attention's cost should be seen to grow as the square of the length, all others' nearly as the length."""
    return [
        Floor(f"{name}: attention", QUADRATIC, [exponent_of(growth.seconds)])
        if growth.attends
        else Goal(f"{name}: no attention", NEAR_LINEAR, [exponent_of(growth.seconds)])
        for name, growth in found.items()
    ]


def rows_of(found: Mapping[str, "Growth"]) -> list[dict[str, Any]]:
    """One row per architecture, those whose cost grows least first."""
    return [
        {
            "architecture": name,
            "parameters": growth.num_parameters,
            "exponent": round(exponent_of(growth.seconds), 2),
            **{f"ms_at_{length}": 1e3 * seconds for length, seconds in growth.seconds.items()},
        }
        for name, growth in sorted(found.items(), key=lambda item: exponent_of(item[1].seconds))
    ]


def exponent_of(seconds: Mapping[int, float]) -> float:
    """Fit the exponent of time over length to the longer half of the lengths, two at least, by least squares."""
    longest: Sequence[int] = sorted(seconds)[-max(2, math.ceil(len(seconds) / 2)) :]
    times = [math.log(seconds[length]) for length in longest]
    return statistics.linear_regression([math.log(length) for length in longest], times).slope
