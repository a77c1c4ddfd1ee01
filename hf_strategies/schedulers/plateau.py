"""Lower the rate when a metric stops getting better: the one schedule that is no curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import ReduceLROnPlateau


def reduce_on_plateau(
    optimizer: Optimizer,
    *,
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_lr_ratio: float = 0.0,
    mode: str = "min",
) -> ReduceLROnPlateau:
    """Build torch's scheduler, whose `step(metric)` is to be called after each evaluation (Trainer does).

    It begins at each group's base rate, also where an earlier training lowered the rate. In a training the metric is
    the setting metric_for_best_model (the evaluation's loss where nobody names another), and greater_is_better says
    which of its values are better.

    Args:
        optimizer: What is scheduled.
        factor: What the rate is multiplied by.
        patience: Evaluations in a row that may be no better.
        threshold: How much better counts.
        threshold_mode: Whether `threshold` is a share of the best metric ("rel") or a difference from it ("abs").
        cooldown: Evaluations after a reduction that are not counted.
        min_lr_ratio: Floor, as a share of each group's base rate.
        mode: "min" where a lower metric is better, "max" where a higher one is.
    """
    from torch.optim.lr_scheduler import ReduceLROnPlateau  # here, so that settings can be checked without torch

    for group in optimizer.param_groups:
        group["lr"] = float(group.setdefault("initial_lr", group["lr"]))  # where torch's schedulers keep the base
    return ReduceLROnPlateau(
        optimizer,
        mode=mode,
        factor=factor,
        patience=patience,
        threshold=threshold,
        threshold_mode=threshold_mode,
        cooldown=cooldown,
        min_lr=[min_lr_ratio * group["lr"] for group in optimizer.param_groups],
        eps=0.0,  # torch's own leaves rates of 1e-8 alone, which is much to some
    )
