"""What the learning rate and other scheduled hyperparameters of a run will be, from its settings alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.batch import tokens_per_update
from hf_strategies.arguments.cooldown import read_trunk_state
from hf_strategies.arguments.topics import setting
from hf_strategies.errors import UserError
from hf_strategies.planning.planned_curve import PlannedCurve, even_updates
from hf_strategies.schedulers import SCHEDULERS, RunScale, bind_curve, unreached
from hf_strategies.schedulers.value_curves import ValueCurve

# What a run takes where no layer says anything: the host's own default.
DEFAULTS = {"learning_rate": 5e-5, "weight_decay": 0.0, "num_train_epochs": 3.0}
MOST_SAMPLES, ZOOM = 20_000, 64  # of a long run's curve, and of each look closer


@dataclass
class ScheduleOptions:
    """Options of its own."""

    png: str = setting("schedule.png", "The picture to write.")
    updates_per_epoch: int | None = setting(
        None, "Updates in one pass over the data, for lengths in epochs: a plan does not read the data."
    )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is to do.

    Args:
        curves: Of its hyperparameters, the learning rate's first.
        notes: What its user should know.
    """

    curves: list[PlannedCurve]
    notes: list[str]


def plan_schedule(arguments: Arguments, updates_per_epoch: int | None) -> Plan:
    """Work out every scheduled hyperparameter of a run; of a cooldown, from its trunk's first update on.

    Args:
        arguments: Of the run.
        updates_per_epoch: Updates in one pass over the data; None where it is not known.

    Raises:
        UserError: The run's length or a unit is not known before its data are, or the schedule is no curve of ours.
    """
    span, notes = None, []
    if arguments.strategy.cooldown_from is not None:
        from hf_strategies.runs.cooldown import branch_cooldown  # here, since it needs torch, which takes seconds

        span = read_trunk_state(Path(arguments.strategy.cooldown_from)).planned  # of the curves that it goes on with
        branch = branch_cooldown(arguments, block_size=arguments.data.max_seq_length or 0)
        notes = branch.notes[len(arguments.notes) :]
        arguments = branch
    strategy, training = arguments.strategy, arguments.training
    if strategy.scheduler is None:
        kind = training.get("lr_scheduler_type", "linear")
        raise UserError(f"the schedule {kind!r} is the host's own: a plan draws what --scheduler names")
    run = RunScale(
        planned_updates(training, updates_per_epoch), tokens_per_update(arguments.values), updates_per_epoch
    )
    shape, warmup = strategy.scheduler_kwargs or {}, arguments.values.get("warmup_steps")
    try:
        rise = run.updates("warmup_steps", training.get("warmup_steps") or 0, rounding=math.ceil)
    except UserError as error:
        raise UserError(f"{warmup.where if warmup else 'warmup_steps'}: {error}") from error
    rate = bind_curve(SCHEDULERS[strategy.scheduler], run, rise, shape)
    base = training.get("learning_rate", DEFAULTS["learning_rate"])
    curves = [sample(lambda update: base * rate(update), run, name="learning_rate", scheduler=strategy.scheduler)]
    for name, written in (strategy.hyperparameter_curves or {}).items():
        curve = ValueCurve.from_setting(name, written)
        factor = curve.bind(run if span is None else replace(run, num_training_steps=span))
        own = own_value(arguments, name) if curve.at_one is None else 0.0
        values = partial(_value, curve, factor, own)
        curves.append(sample(values, run, name=name, scheduler=curve.scheduler))
    if (too_short := unreached(run, shape)) is not None:
        notes.append(too_short)
    return Plan(curves=curves, notes=notes)


def _value(curve: ValueCurve, factor: Callable[[int], float], own: float, update: int) -> float:
    return curve.value(factor(update), own)


def planned_updates(training: Mapping[str, Any], updates_per_epoch: int | None) -> int:
    """Return the length of a run.

    Raises:
        UserError: It is counted in epochs, and their length is not known.
    """
    if (steps := training.get("max_steps", -1)) > 0:
        return steps
    if updates_per_epoch is None:
        raise UserError(
            "the run is counted in epochs, whose length only its data tell: add --updates_per_epoch or --max_steps"
        )
    return math.ceil(training.get("num_train_epochs", DEFAULTS["num_train_epochs"]) * updates_per_epoch)


def sample(value: Callable[[int], float], run: RunScale, *, name: str, scheduler: str) -> PlannedCurve:
    """Take a curve's values: of every update, or of a long run at even distances, and at each one around its peak.

    Args:
        value: From an update to what it uses.
        run: Its length.
        name: Of the hyperparameter.
        scheduler: Name of its curve.
    """
    length = run.num_training_steps
    values = {update: value(update) for update in even_updates(length, MOST_SAMPLES)}
    gap = length
    while len(values) < length and gap > 1:  # the peak lies between the neighbours of the highest that was seen
        curve = PlannedCurve(name=name, scheduler=scheduler, values=values)
        updates, gap = list(values), 1
        for peak in set(curve.held):
            place = updates.index(peak)
            low, high = updates[max(place - 1, 0)], updates[min(place + 1, len(updates) - 1)]
            gap = max(gap, peak - low, high - peak)
            values |= {low + step: value(low + step) for step in even_updates(high - low + 1, ZOOM)}
        values = dict(sorted(values.items()))
    return PlannedCurve(name=name, scheduler=scheduler, values=values)


def own_value(arguments: Arguments, name: str) -> float:
    """Return what a run sets a hyperparameter to where no curve does.

    Raises:
        UserError: Only the optimizer knows: nothing in the settings says it.
    """
    kwargs = arguments.strategy.optimizer_kwargs or {}
    found = {**DEFAULTS, **arguments.training, **kwargs}
    if name in ("beta1", "beta2") and "betas" in kwargs:
        return kwargs["betas"][int(name[-1]) - 1]
    if name not in found:
        raise UserError(f"the curve of {name} ends at the optimizer's own value: say it as at_one to have it drawn")
    return found[name]
