"""Curves for parameter groups that join a run late."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from hf_strategies.schedulers.lengths import RunScale

JOINS_AFTER = "joins_after"  # a group's own word: how many intervals it waits, and how long one is


def start_step(group: Mapping[str, Any], run: RunScale) -> int:
    """Return the update that a parameter group begins to train at; 0 where it says nothing else.

    Raises:
        UserError: The length of an interval cannot be turned into updates.
    """
    if JOINS_AFTER not in group:
        return 0
    intervals, length = group[JOINS_AFTER]
    return intervals * run.updates("unfreeze_every", length, rounding=math.ceil, bounded=False)


def start_late(step: int, *, curve: Callable[[int], float], start: int, num_training_steps: int) -> float:
    """Run through a whole curve, warmup and all, in what is left of the run after `start`; 0 before.

    Args:
        step: Updates done so far.
        curve: Of the whole run: from updates done to a factor.
        start: Updates done when the group joins.
        num_training_steps: Length of the run, in updates.
    """
    if step < start:
        return 0.0
    done = min((step - start) / max(num_training_steps - start, 1), 1.0)
    return curve(round(done * num_training_steps))
