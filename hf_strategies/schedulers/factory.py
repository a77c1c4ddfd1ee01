"""Bind a named curve to the length of a run, and to an optimizer."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.registry import Entry
from hf_strategies.schedulers.curves import DECAY_SHAPES, with_linear_warmup
from hf_strategies.schedulers.shelf import SCHEDULERS

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR

# A shape argument means the same in every curve, so each has one range; those that count updates are checked apart.
RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "min_lr_ratio": (lambda value: isinstance(value, int | float) and 0.0 <= value <= 1.0, "a number in [0, 1]"),
    "decay_shape": (lambda value: value in list(DECAY_SHAPES), f"one of {', '.join(DECAY_SHAPES)}"),
}


def create_scheduler(
    name: str,
    optimizer: Optimizer,
    *,
    num_training_steps: int,
    num_warmup_steps: float = 0,
    last_epoch: int = -1,
    **shape: Any,
) -> LambdaLR:
    """Build the schedule called `name`; it scales the rate of every parameter group from that group's own base.

    Args:
        name: Name on the shelf.
        optimizer: What is scheduled.
        num_training_steps: Length of the run, in updates.
        num_warmup_steps: Length of the warmup, in updates, or as a share of the run in (0, 1).
        last_epoch: Updates done before, minus one; -1 starts a run.
        shape: The curve's own arguments; a `num_..._steps` among them may be a share of the run, too.

    Raises:
        UserError: The name or an argument is unknown, missing or out of range, or the phases do not fit in the run.
    """
    curve = schedule_curve(name, num_training_steps=num_training_steps, num_warmup_steps=num_warmup_steps, **shape)
    from torch.optim.lr_scheduler import LambdaLR  # here, so that curves can be checked and drawn without torch

    return LambdaLR(optimizer, curve, last_epoch)


def schedule_curve(
    name: str, *, num_training_steps: int, num_warmup_steps: float = 0, **shape: Any
) -> Callable[[int], float]:
    """Return the curve called `name` for a whole run: from updates done to a multiplier of the base rate.

    Arguments and errors are those of `create_scheduler`; torch is not imported.
    """
    return bind_curve(SCHEDULERS[name], num_training_steps, num_warmup_steps, shape)


def bind_curve(
    entry: Entry[Callable[..., float]], num_training_steps: int, num_warmup_steps: float, shape: Mapping[str, Any]
) -> Callable[[int], float]:
    """Check a shelved curve's arguments and fix them; the result can be pickled.

    Args:
        entry: The curve's entry on the shelf.
        num_training_steps: Length of the run, in updates.
        num_warmup_steps: Length of the warmup, in updates, or as a share of the run in (0, 1).
        shape: The curve's own arguments, as a user wrote them.

    Raises:
        UserError: As `create_scheduler`.
    """
    if not isinstance(num_training_steps, int) or num_training_steps < 1:
        raise UserError(f"num_training_steps must be a whole number >= 1, got {num_training_steps!r}")
    _check_shape(entry, shape)
    # Opposite roundings: phases whose shares add up to the run fit in it.
    warmup = _in_updates("num_warmup_steps", num_warmup_steps, num_training_steps, math.ceil)
    phases = {
        key: _in_updates(key, value, num_training_steps, math.floor)
        for key, value in shape.items()
        if _counts_updates(key)
    }
    if warmup + sum(phases.values()) > num_training_steps:
        listed = " + ".join(f"{key} {value}" for key, value in {"num_warmup_steps": warmup, **phases}.items())
        raise UserError(f"{listed} do not fit in the run's {num_training_steps} updates")
    run = {"num_training_steps": num_training_steps, "num_warmup_steps": warmup}
    if entry.facts["own_warmup"]:
        return partial(entry.build, **run, **{**shape, **phases})
    return partial(with_linear_warmup, curve=entry.build, **run, **{**shape, **phases})


def _check_shape(entry: Entry[Callable[..., float]], shape: Mapping[str, Any]) -> None:
    known = {
        key: parameter
        for key, parameter in inspect.signature(entry.build).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and key != "num_warmup_steps"
    }
    for key, value in shape.items():
        if key not in known:
            guess = did_you_mean(key, known)
            raise UserError(
                f"scheduler {entry.name!r} has no setting {key!r}{guess} (known: {', '.join(known) or 'none'})"
            )
        if not _counts_updates(key):
            holds, expected = RANGES[key]
            if not holds(value):
                raise UserError(f"{key} must be {expected}, got {value!r}")
    for key, parameter in known.items():
        if key not in shape and parameter.default is inspect.Parameter.empty:
            raise UserError(f"scheduler {entry.name!r} needs {key}")


def _counts_updates(key: str) -> bool:
    return key.startswith("num_") and key.endswith("_steps")


def _in_updates(key: str, amount: Any, num_training_steps: int, rounding: Callable[[float], int]) -> int:
    """Turn a number of updates, or a share of the run, into whole updates."""
    if isinstance(amount, float) and 0.0 < amount < 1.0:
        return rounding(round(amount * num_training_steps, 6))  # 0.07 * 100 is a little more than 7
    if isinstance(amount, int | float) and 0 <= amount <= num_training_steps and amount == int(amount):
        return int(amount)
    raise UserError(
        f"{key} must be a whole number of updates in [0, {num_training_steps}] or a share of the run in (0, 1), "
        f"got {amount!r}"
    )
