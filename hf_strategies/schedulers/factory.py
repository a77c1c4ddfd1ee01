"""Bind a named curve to the length of a run, and to an optimizer."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hf_strategies.errors import UserError
from hf_strategies.ranges import POSITIVE_RATIO
from hf_strategies.registry import Entry
from hf_strategies.schedulers.late_start import start_late, start_step
from hf_strategies.schedulers.lengths import RunScale
from hf_strategies.schedulers.rises import warmup_before, warmup_over
from hf_strategies.schedulers.shapes import (
    PERIODS,
    PHASES,
    WARMUP,
    accepted_by,
    check_shape,
    check_warmup,
    refuse_unknown,
    settings_of,
)
from hf_strategies.schedulers.shelf import SCHEDULERS

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

# What a phase of a sequence says besides its curve's shape.
OF_A_PHASE = ("scheduler", "num_steps", "num_warmup_steps", "peak")
COMPOSE = {"before": warmup_before, "over": warmup_over}


def create_scheduler(
    name: str,
    optimizer: Optimizer,
    *,
    num_training_steps: int,
    num_warmup_steps: float | str = 0,
    tokens_per_update: float | None = None,
    updates_per_epoch: float | None = None,
    **shape: Any,
) -> LRScheduler:
    """Build the schedule called `name`; it scales the rate of every parameter group from that group's own base.

    A group that joins late (`joins_after`) runs through the whole curve in what is left of the run; before, its rate
    is 0. What follows a metric lowers all groups together.

    A length (the warmup, `num_..._steps`, `step_size`, each of `milestones`) is a whole number of updates, a share of
    the run in (0, 1), "2M tokens" or "3 epochs".

    Args:
        name: Name on the shelf.
        optimizer: What is scheduled.
        num_training_steps: Length of the run, in updates.
        num_warmup_steps: Length of the warmup.
        tokens_per_update: Tokens in one update's batch over all devices, for lengths in tokens.
        updates_per_epoch: Updates in one pass over the data, for lengths in epochs.
        shape: The curve's own arguments, and `warmup_shape` and `warmup_start` (the factor at step 0).

    Returns:
        A `LambdaLR`, or a `ReduceLROnPlateau` for reduce_on_plateau.

    Raises:
        UserError: The name or an argument is unknown, missing or out of range, or the phases do not fit in the run.
    """
    entry = SCHEDULERS[name]
    run = RunScale(num_training_steps, tokens_per_update, updates_per_epoch)
    check_schedule(entry, run, num_warmup_steps, shape)
    if entry.facts.get("stateful"):
        return entry.build(optimizer, **shape)
    curve = bind_curve(entry, run, num_warmup_steps, shape)
    starts = [start_step(group, run) for group in optimizer.param_groups]
    from torch.optim.lr_scheduler import LambdaLR  # here, so that curves can be checked and drawn without torch

    late = partial(start_late, curve=curve, num_training_steps=num_training_steps)
    return LambdaLR(optimizer, [partial(late, start=start) if start else curve for start in starts])


def schedule_curve(
    name: str,
    *,
    num_training_steps: int,
    num_warmup_steps: float | str = 0,
    tokens_per_update: float | None = None,
    updates_per_epoch: float | None = None,
    **shape: Any,
) -> Callable[[int], float]:
    """Return the curve called `name` for a whole run: from updates done to a multiplier of the base rate.

    Arguments and errors are those of `create_scheduler`; torch is not imported.
    """
    run = RunScale(num_training_steps, tokens_per_update, updates_per_epoch)
    return bind_curve(SCHEDULERS[name], run, num_warmup_steps, shape)


def check_schedule(entry: Entry, run: RunScale, num_warmup_steps: float | str, shape: Mapping[str, Any]) -> None:
    """Refuse what a schedule could not be built with, curve or not; arguments and errors are those of `bind_curve`."""
    if not entry.facts.get("stateful"):
        bind_curve(entry, run, num_warmup_steps, shape)
        return
    check_shape(entry, shape)
    check_warmup(entry, run.updates("num_warmup_steps", num_warmup_steps, rounding=math.ceil), shape)


def bind_curve(
    entry: Entry, run: RunScale, num_warmup_steps: float | str, shape: Mapping[str, Any]
) -> Callable[[int], float]:
    """Check a shelved curve's arguments and fix them; the result can be pickled.

    Args:
        entry: The curve's entry on the shelf.
        run: Length of the run, and what units of length are in it.
        num_warmup_steps: Length of the warmup, in any unit.
        shape: The curve's own arguments and the warmup's, as a user wrote them.

    Raises:
        UserError: As `create_scheduler`; or what is shelved is no curve.
    """
    if entry.facts.get("stateful"):
        raise UserError(f"scheduler {entry.name!r} follows an evaluation's metric: it has no curve to draw or combine")
    check_shape(entry, shape)
    # Opposite roundings of warmup and phases: shares that add up to the run fit in it.
    warmup = run.updates("num_warmup_steps", num_warmup_steps, rounding=math.ceil)
    check_warmup(entry, warmup, shape)
    bound = _in_updates(entry, run, warmup, {**entry.facts.get("defaults", {}), **shape})
    if entry.facts["warmup"] == "own":
        return partial(entry.build, num_training_steps=run.num_training_steps, **bound)
    rise = {name.removeprefix("warmup_"): bound.pop(name, default) for name, default in WARMUP.items()}
    if "num_warmup_steps" in inspect.signature(entry.build).parameters:
        bound["num_warmup_steps"] = warmup
    return partial(
        COMPOSE[entry.facts["warmup"]],
        curve=partial(entry.build, **bound),
        num_training_steps=run.num_training_steps,
        num_warmup_steps=warmup,
        **rise,
    )


def _in_updates(entry: Entry, run: RunScale, warmup: int, shape: Mapping[str, Any]) -> dict[str, Any]:
    """Turn every length of a shape into updates, and see that the phases fit in the run together."""
    bound = dict(shape)
    phases = {"num_warmup_steps": warmup}
    for name, setting in settings_of(entry).items():
        value = shape.get(name, setting.default)
        if name in PHASES:
            called = name if name in shape else f"{name} (not given: its default)"
            phases[name] = bound[name] = run.updates(called, value)
        elif name in PERIODS and value is not None:
            bound[name] = run.updates(name, value, rounding=math.ceil, bounded=False)
            if bound[name] == 0:
                raise UserError(f"{name} must be at least one update, got {value!r}")
        elif name == "milestones":
            bound[name] = tuple(sorted(run.updates(name, milestone) for milestone in value))
        elif name == "phases":
            bound[name] = _bind_phases(value, run)
    if sum(phases.values()) > run.num_training_steps:
        listed = " + ".join(f"{name} {length}" for name, length in phases.items())
        raise UserError(f"{listed} do not fit in the run's {run.num_training_steps} updates")
    return bound


def _bind_phases(phases: Sequence[Any], run: RunScale) -> tuple[tuple[int, float, Callable[[int], float]], ...]:
    """Bind the curves of a sequence; a share of the run in `num_steps` is one of the whole, any other of the phase."""
    bound: list[tuple[int, float, Callable[[int], float]]] = []
    begin, exact = 0, 0.0  # sums are rounded, not lengths: shares that add up to the run fill it
    for number, phase in enumerate(phases, 1):
        if not isinstance(phase, Mapping) or phase.get("scheduler") not in SCHEDULERS:
            known = ", ".join(SCHEDULERS.names())
            raise UserError(f"phase {number} must be a mapping with a scheduler (one of {known}), got {phase!r}")
        entry = SCHEDULERS[phase["scheduler"]]
        refuse_unknown(f"phase {number} ({entry.name})", phase, [*OF_A_PHASE, *accepted_by(entry)])
        if "num_steps" not in phase and number < len(phases):
            raise UserError(f"phase {number} ({entry.name}) needs num_steps: only the last may leave it out")
        exact += run.updates("num_steps", phase.get("num_steps", run.num_training_steps - begin), rounding=float)
        length, peak = round(exact) - begin, phase.get("peak", 1.0)
        if begin + length > run.num_training_steps:
            raise UserError(f"phases 1 to {number} of {begin + length} updates do not fit in {run.num_training_steps}")
        holds, expected = POSITIVE_RATIO
        if not holds(peak):
            raise UserError(f"peak of phase {number} must be {expected}, got {peak!r}")
        if length:  # an empty phase is never seen
            shape = {name: value for name, value in phase.items() if name not in OF_A_PHASE}
            part = replace(run, num_training_steps=length)
            curve = bind_curve(entry, part, phase.get("num_warmup_steps", 0), shape)
            bound.append((begin, peak, curve))
        begin += length
    if begin < run.num_training_steps:
        left = run.num_training_steps - begin
        raise UserError(f"the phases leave {left} updates of the run without a curve: leave num_steps of the last out")
    return tuple(bound)
