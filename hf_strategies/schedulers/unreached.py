"""What a schedule asks for and its run is too short to come to."""

import math
from collections.abc import Mapping
from typing import Any

from hf_strategies.schedulers.lengths import RunScale

TURNS = ("step_size", "milestones")  # where a curve that otherwise stands still changes


def unreached(run: RunScale, shape: Mapping[str, Any]) -> str | None:
    """Say that a run ends before its curve first steps, which nobody means; None where it does step.

    Args:
        run: Length of the run, and what units of length are in it.
        shape: The curve's own arguments, checked.
    """
    for name in TURNS:
        if name not in shape:
            continue
        lengths = shape[name] if isinstance(shape[name], list | tuple) else [shape[name]]
        first = min(run.updates(name, length, rounding=math.ceil, bounded=False) for length in lengths)
        if first >= run.num_training_steps:
            return (
                f"the rate never steps: {name} {shape[name]} comes after {first:,} updates, and the run has "
                f"{run.num_training_steps:,}"
            )
    return None
