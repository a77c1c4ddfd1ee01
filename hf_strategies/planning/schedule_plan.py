"""What the learning rate and other scheduled hyperparameters of a run will be, from its settings alone."""

from __future__ import annotations

from dataclasses import dataclass

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.batch import tokens_per_update
from hf_strategies.arguments.topics import setting
from hf_strategies.errors import UserError
from hf_strategies.reports.terminal import format_number
from hf_strategies.schedulers import SCHEDULERS, RunScale, bind_curve
from hf_strategies.schedulers.value_curves import ValueCurve

# What a run takes where no layer says anything: the host's own default.
DEFAULTS = {"learning_rate": 5e-5, "weight_decay": 0.0}


@dataclass
class ScheduleOptions:
    """Options of its own."""

    png: str = setting("schedule.png", "The picture to write.")
    updates_per_epoch: int | None = setting(
        None, "Updates in one pass over the data, for lengths in epochs: a plan does not read the data."
    )


@dataclass(frozen=True, kw_only=True)
class PlannedCurve:
    """One hyperparameter over a whole run.

    Args:
        name: Of the hyperparameter.
        scheduler: Name of its curve.
        values: What each update uses, from the first to the last.
    """

    name: str
    scheduler: str
    values: list[float]

    @property
    def held(self) -> tuple[int, int]:
        """The first and the last update that use the highest value, from 0."""
        close = max(self.values) * (1.0 - 1e-9)
        at_peak = [update for update, value in enumerate(self.values) if value >= close]
        return at_peak[0], at_peak[-1]

    def describe(self) -> str:
        """Say in numbers how the curve goes: its rise, its peak, and its fall."""
        first, last = self.held
        peak = self.values[first]
        parts = []
        if first > 0:
            parts.append(f"from {format_number(self.values[0])} up to {format_number(peak)} in {first:,} updates")
        else:
            parts.append(f"begins at {format_number(peak)}")
        if last > first:
            level = min(self.values[first : last + 1]) >= peak * (1.0 - 1e-9)
            parts.append(f"{'stays there' if level else 'is there again'} until update {last + 1:,}")
        if last < len(self.values) - 1:
            parts.append(f"ends at {format_number(self.values[-1])}")
        return ", ".join(parts)


def plan_schedule(arguments: Arguments, updates_per_epoch: int | None) -> list[PlannedCurve]:
    """Work out every scheduled hyperparameter of a run, the learning rate first.

    Args:
        arguments: Of the run.
        updates_per_epoch: Updates in one pass over the data; None where it is not known.

    Raises:
        UserError: The run's length or a unit is not known before its data are, or the schedule is no curve of ours.
    """
    strategy, training = arguments.strategy, arguments.training
    num_training_steps = training.get("max_steps", -1)
    if num_training_steps < 1:
        raise UserError("the run is counted in epochs, whose length only its data tell: add --max_steps")
    if strategy.scheduler is None:
        kind = training.get("lr_scheduler_type", "linear")
        raise UserError(f"the schedule {kind!r} is the host's own: a plan draws what --scheduler names")
    run = RunScale(num_training_steps, tokens_per_update(arguments.values), updates_per_epoch)
    rate = bind_curve(
        SCHEDULERS[strategy.scheduler], run, training.get("warmup_steps", 0), strategy.scheduler_kwargs or {}
    )
    base = training.get("learning_rate", DEFAULTS["learning_rate"])
    updates = range(num_training_steps)
    planned = [
        PlannedCurve(
            name="learning_rate", scheduler=strategy.scheduler, values=[base * rate(update) for update in updates]
        )
    ]
    for name, written in (strategy.hyperparameter_curves or {}).items():
        curve = ValueCurve.from_setting(name, written)
        factor = curve.bind(run)
        own = own_value(arguments, name) if curve.at_one is None else 0.0
        values = [curve.value(factor(update), own) for update in updates]
        planned.append(PlannedCurve(name=name, scheduler=curve.scheduler, values=values))
    return planned


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
