"""Settings of a run in the place of those that its checkpoint remembers."""

from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from hf_strategies.errors import UserError


def take_settings(optimizer: Optimizer, scheduler: LRScheduler | None, built: Sequence[dict[str, Any]]) -> None:
    """Give the groups of a loaded optimizer what they were built with, at the schedule's place.

    Args:
        optimizer: Loaded from a checkpoint.
        scheduler: Loaded from it, too.
        built: The groups as they were before, without their parameters; `initial_lr` is each one's base rate.

    Raises:
        UserError: The schedule does not follow from a base rate.
    """
    if not isinstance(scheduler, LambdaLR):
        raise UserError(
            f"allow_change cannot change the settings of a {type(scheduler).__name__} that is resumed: its rate "
            "follows from its own past"
        )
    for group, fresh in zip(optimizer.param_groups, built):
        group.update({name: value for name, value in fresh.items() if name != "params"})
    scheduler.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
    factors = [curve(scheduler.last_epoch) for curve in scheduler.lr_lambdas]
    for group, base, factor in zip(optimizer.param_groups, scheduler.base_lrs, factors):
        group["lr"] = base * factor
    scheduler._last_lr = [group["lr"] for group in optimizer.param_groups]
