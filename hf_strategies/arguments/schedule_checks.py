"""What can be wrong with a schedule: lengths, phases, and what a curve or an evaluation must have."""

import math
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from hf_strategies.arguments.batch import tokens_per_update
from hf_strategies.arguments.merging import Value
from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.optimizers import OPTIMIZERS
from hf_strategies.schedulers import SCHEDULERS, RunScale, check_schedule
from hf_strategies.schedulers.lengths import UNKNOWN
from hf_strategies.schedulers.shapes import check_shape
from hf_strategies.schedulers.value_curves import ValueCurve, check_hyperparameter

CURVED = ("momentum", "eps")  # settings that are a number of their own in an optimizer's groups, as weight decay is


def refused(given: Value, attempt: Callable[[], Any]) -> Iterator[str]:
    """Try something that a setting asks for; yield where the setting stands and why it cannot be had."""
    try:
        attempt()
    except UserError as error:
        yield f"{given.where}: {error}"


def metric_problems(values: dict[str, Value], known: Collection[str]) -> Iterator[str]:
    """Yield a line where the best checkpoint is to be chosen by a metric that no evaluation has."""
    metric = values.get("metric_for_best_model")
    if metric is None or metric.value is None or (name := metric.value.removeprefix("eval_")) in known:
        return
    guess = did_you_mean(name, known)
    yield f"{metric.where}: unknown metric {metric.value!r}{guess} (known: {', '.join(known)})"


def planned_scale(values: dict[str, Value], *, epochs: bool = True) -> RunScale:
    """Say what lengths are measured against, as far as settings know.

    What only the data will tell is taken for so much that no length is too long; training checks again.

    Args:
        values: The settings.
        epochs: Whether a length may be written in epochs.
    """
    steps = values.get("max_steps")
    length = steps.value if steps is not None and steps.value > 0 else UNKNOWN
    return RunScale(length, tokens_per_update(values) or UNKNOWN, 1 / UNKNOWN if epochs else None)


def schedule_problems(values: dict[str, Value]) -> Iterator[str]:
    """Yield one line per mistake about the schedule, each with where it stands."""
    scheduler, shape, warmup = (values.get(name) for name in ("scheduler", "scheduler_kwargs", "warmup_steps"))
    run = planned_scale(values)
    wrong = []
    if warmup is not None and warmup.value is not None:
        wrong = list(refused(warmup, lambda: run.updates("warmup_steps", warmup.value, rounding=math.ceil)))
        yield from wrong
    if scheduler is not None and scheduler.value in SCHEDULERS:
        entry, given = SCHEDULERS[scheduler.value], (shape and shape.value) or {}
        misshapen = list(refused(shape or scheduler, partial(check_shape, entry, given)))
        yield from misshapen
        if not wrong and not misshapen:
            blamed, rise = shape or warmup or scheduler, (warmup and warmup.value) or 0
            if warmup is not None and rise and "instead_of_warmup" in entry.facts:
                blamed = warmup
            yield from refused(blamed, partial(check_schedule, entry, run, rise, given))
        evaluated = values.get("eval_strategy", scheduler)
        if entry.facts.get("stateful") and evaluated.value not in ("steps", "epoch"):
            yield f"{evaluated.where}: scheduler {entry.name} follows evaluations: set eval_strategy to steps or epoch"
    curves = values.get("hyperparameter_curves")
    if curves is not None and curves.value is not None:
        for name, written in curves.value.items():
            yield from refused(curves, partial(_check_curve, name, written, values.get("optimizer"), run))


def asked_decays(values: dict[str, Value]) -> Iterator[Value]:
    """Yield what weights are decayed by, and the most that a curve makes of it, each with where it stands."""
    decay, curves = values.get("weight_decay"), values.get("hyperparameter_curves")
    if decay is not None and decay.value is not None:
        yield decay
    if curves is not None and curves.value is not None and "weight_decay" in curves.value:
        try:
            curve = ValueCurve.from_setting("weight_decay", curves.value["weight_decay"])
        except UserError:
            return  # which has been said
        yield Value(curve.highest((decay and decay.value) or 0.0), curves.where)


def _check_curve(name: str, written: Any, optimizer: Value | None, run: RunScale) -> None:
    """Refuse a curve of another hyperparameter than an optimizer of ours has, or one that does not fit in the run."""
    curve = ValueCurve.from_setting(name, written)
    curve.bind(run)
    known = curved(optimizer.value) if optimizer is not None and optimizer.value in OPTIMIZERS else None
    if known is not None:
        check_hyperparameter(curve, known)


def curved(optimizer: str) -> set[str] | None:
    """List what may follow a curve of its own in an optimizer on the shelf; None where only its class knows."""
    settings = OPTIMIZERS[optimizer].facts["hyperparameters"]
    if settings is None:
        return None
    betas = {"beta1", "beta2"} if any(setting.endswith("betas") for setting in settings) else set()
    return {"weight_decay"} | betas | set(CURVED) & set(settings)
