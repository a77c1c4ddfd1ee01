"""Settings of a run in the place of those that its checkpoint remembers."""

import inspect
from collections.abc import Collection, Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from hf_strategies.errors import UserError

# What an optimizer is built with, by the names of settings.
HYPERPARAMETERS = frozenset(
    {"learning_rate", "weight_decay", "optimizer_kwargs", "param_groups"}
    | {"optim_args", "adam_beta1", "adam_beta2", "adam_epsilon"}
)
# What decides the rates.
RATES = frozenset(
    {"learning_rate", "optimizer_kwargs", "param_groups", "optim_args"}
    | {"scheduler", "scheduler_kwargs", "lr_scheduler_type", "lr_scheduler_kwargs"}
)


def take_settings(
    optimizer: Any, scheduler: LRScheduler | None, built: Sequence[dict[str, Any]], changed: Collection[str]
) -> None:
    """Give a loaded optimizer the settings of this run that have changed, at the schedule's place.

    What an optimizer counts or averages in its groups stays as it was loaded.

    Args:
        optimizer: Loaded from a checkpoint; wrapped or not.
        scheduler: Loaded from it, too.
        built: The groups as they were before; `initial_lr` is each one's base rate.
        changed: Names of the run's settings that are not the checkpoint's.

    Raises:
        UserError: The rates do not follow from settings: the schedule is no curve.
    """
    if HYPERPARAMETERS.intersection(changed):
        memory = _counters(unwrapped(optimizer)) | {"params", "lr", "initial_lr"}
        for group, fresh in zip(optimizer.param_groups, built, strict=True):
            group.update({name: value for name, value in fresh.items() if name not in memory})
    if isinstance(scheduler, LambdaLR):
        _take_rates(optimizer, scheduler, built)
    elif found := sorted(RATES.intersection(changed)):
        raise UserError(
            f"allow_change cannot change {', '.join(found)} of a run with {type(scheduler).__name__}: its rate "
            "follows from its own past"
        )


def unwrapped(optimizer: Any) -> Optimizer:
    """Return the optimizer inside of accelerate's and DeepSpeed's wrappers."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def _counters(optimizer: Optimizer) -> set[str]:
    """List what an optimizer keeps in its groups as if it were a setting, but does not take as an argument."""
    return set(optimizer.defaults) - set(inspect.signature(type(optimizer).__init__).parameters)


def _take_rates(optimizer: Any, scheduler: LambdaLR, built: Sequence[dict[str, Any]]) -> None:
    scheduler.base_lrs = [fresh["initial_lr"] for fresh in built]
    factors = [curve(scheduler.last_epoch) for curve in scheduler.lr_lambdas]
    for group, base, factor in zip(optimizer.param_groups, scheduler.base_lrs, factors, strict=True):
        group.update({"initial_lr": base, "lr": base * factor})
    scheduler._last_lr = [group["lr"] for group in optimizer.param_groups]
