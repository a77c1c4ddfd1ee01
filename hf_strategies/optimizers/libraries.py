"""Optimizers of other libraries, under the words that ours use.

Each is built as its library builds it but for the names of its settings; a package that is missing is refused, with
the line that installs it, before one of these is called.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import SGD, Adafactor, Optimizer

from hf_strategies.optimizers.adamw import runs_fused
from hf_strategies.optimizers.hyperparameters import check_ranges
from hf_strategies.optimizers.whole_tensors import (
    expect_whole_tensors,
    has_dtensors,
    refuse_dtensors,
    refuse_partly_sharded,
)

HALF_PRECISION = (torch.bfloat16, torch.float16)


def sgd(groups: list[dict], lr: float, *, momentum: float = 0.9, nesterov: bool = False) -> SGD:
    """Build torch's SGD; its weight decay is part of the gradient, and so of the momentum.

    Args:
        groups: Parameter groups.
        lr: Learning rate.
        momentum: Decay rate of the sum of gradients, in [0, 1).
        nesterov: Look ahead along the momentum.

    Raises:
        UserError: A value is out of range, or `nesterov` comes without momentum.
    """
    check_ranges(lr=lr, momentum=momentum, nesterov=nesterov)
    return SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=_runs_sgd_fused(groups) or None)


def _runs_sgd_fused(groups: list[dict]) -> bool:
    """Tell whether torch's one-pass SGD exists and is right: on a CPU it skips most of a bf16 or fp16 tensor."""
    params = [param for group in groups for param in group["params"]]
    is_skipped = any(param.device.type == "cpu" and param.dtype in HALF_PRECISION for param in params)
    return runs_fused(params) and not is_skipped and not has_dtensors(groups)


def adafactor(groups: list[dict], lr: float, *, beta2_decay: float = -0.8, clip_threshold: float = 1.0) -> Adafactor:
    """Build torch's Adafactor: without momentum, its second moment kept as a row and a column per matrix.

    A step changes a tensor by about `lr` of its own root mean square (by `lr / 1000` where that is nearly zero), and
    by no more than `1 / sqrt(updates)` whatever the schedule says. Decay is not relative: `lr * weight_decay`.

    Args:
        groups: Parameter groups.
        lr: Learning rate, relative to a tensor's size.
        beta2_decay: Exponent of the second moment's decay rate, `1 - updates ** beta2_decay`; in [-1, 0).
        clip_threshold: Largest root mean square of an update before it is scaled; at least 1.

    Raises:
        UserError: A value is out of range; at the first step, a tensor is a flat shard.
    """
    check_ranges(lr=lr, beta2_decay=beta2_decay, clip_threshold=clip_threshold)
    refuse_dtensors(groups, "adafactor")
    optimizer = Adafactor(groups, lr=lr, beta2_decay=beta2_decay, d=clip_threshold, weight_decay=0.0)
    return expect_whole_tensors(optimizer, "adafactor")


def schedule_free_adamw(
    groups: list[dict], lr: float, *, betas: tuple[float, float] = (0.9, 0.99), eps: float = 1e-8
) -> Optimizer:
    """Build schedulefree's AdamW; `ScheduleFreeCallback` puts its average in place where weights are looked at.

    Args:
        groups: Parameter groups.
        lr: Learning rate; a warmup is a schedule's.
        betas: How far the weights that train stand from the newest step towards the average, above 0, and the decay
            rate of the running mean square.
        eps: Added to the root of the mean square.

    Raises:
        UserError: A value is out of range, or only some tensors are sharded; at the first step, one is a flat shard
            that the callback does not know of.
    """
    check_ranges("schedule_free_adamw", lr=lr, betas=betas, eps=eps)
    refuse_partly_sharded(groups, "schedule_free_adamw")
    from schedulefree import AdamWScheduleFree

    return expect_whole_tensors(AdamWScheduleFree(groups, lr=lr, betas=tuple(betas), eps=eps), "schedule_free_adamw")


def soap(
    groups: list[dict],
    lr: float,
    *,
    betas: tuple[float, float] = (0.95, 0.95),
    eps: float = 1e-8,
    precondition_frequency: int = 10,
) -> Optimizer:
    """Build pytorch_optimizer's SOAP; its first step only measures gradients.

    Args:
        groups: Parameter groups.
        lr: Learning rate.
        betas: Decay rates of the running mean and mean square, each in [0, 1); the second is the preconditioner's too.
        eps: Added to the root of the mean square.
        precondition_frequency: Updates from one eigenbasis to the next.

    Raises:
        UserError: A value is out of range; at the first step, a tensor is a flat shard.
    """
    check_ranges(lr=lr, betas=betas, eps=eps, precondition_frequency=precondition_frequency)
    refuse_dtensors(groups, "soap")
    from pytorch_optimizer import SOAP

    optimizer = SOAP(
        groups, lr=lr, betas=tuple(betas), eps=eps, precondition_frequency=precondition_frequency, weight_decay=0.0
    )
    return expect_whole_tensors(optimizer, "soap")


def ademamix(
    groups: list[dict],
    lr: float,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    slow_beta: float = 0.9999,
    slow_weight: float = 5.0,
    slow_rise_steps: int | None = None,
) -> Optimizer:
    """Build pytorch_optimizer's AdEMAMix.

    Args:
        groups: Parameter groups.
        lr: Learning rate.
        betas: Decay rates of the running mean and mean square, each in [0, 1).
        eps: Added to the root of the mean square.
        slow_beta: Decay rate of the slow mean (the paper's beta3), in [0, 1).
        slow_weight: Of the slow mean beside the fast one (the paper's alpha).
        slow_rise_steps: Updates over which both of those rise; the paper's choice is the length of the run.

    Raises:
        UserError: A value is out of range, or only some tensors are sharded.
    """
    check_ranges(lr=lr, betas=betas, eps=eps, slow_beta=slow_beta, slow_weight=slow_weight)
    check_ranges(slow_rise_steps=slow_rise_steps)
    refuse_partly_sharded(groups, "ademamix")
    from pytorch_optimizer import AdEMAMix

    return AdEMAMix(
        groups,
        lr=lr,
        betas=(*betas, slow_beta),
        eps=eps,
        alpha=slow_weight,
        t_alpha_beta3=slow_rise_steps,
        weight_decouple=True,
    )


def adamw_8bit(
    groups: list[dict], lr: float, *, betas: tuple[float, float] = (0.9, 0.95), eps: float = 1e-8
) -> Optimizer:
    """Build bitsandbytes' 8-bit AdamW; tensors below 4,096 elements keep their state in float32.

    Args:
        groups: Parameter groups.
        lr: Learning rate.
        betas: Decay rates of the running mean and mean square, each in [0, 1).
        eps: Added to the root of the mean square.

    Raises:
        UserError: A value is out of range.
    """
    return _bitsandbytes("adamw_8bit", "AdamW8bit", groups, lr=lr, betas=betas, eps=eps)


def paged_adamw(
    groups: list[dict], lr: float, *, betas: tuple[float, float] = (0.9, 0.95), eps: float = 1e-8
) -> Optimizer:
    """Build bitsandbytes' paged AdamW; on a CPU there is nowhere to page to. Arguments as for `adamw_8bit`."""
    return _bitsandbytes("paged_adamw", "PagedAdamW", groups, lr=lr, betas=betas, eps=eps)


def paged_adamw_8bit(
    groups: list[dict], lr: float, *, betas: tuple[float, float] = (0.9, 0.95), eps: float = 1e-8
) -> Optimizer:
    """Build bitsandbytes' paged 8-bit AdamW; on a CPU there is nowhere to page to. Arguments as for `adamw_8bit`."""
    return _bitsandbytes("paged_adamw_8bit", "PagedAdamW8bit", groups, lr=lr, betas=betas, eps=eps)


def _bitsandbytes(name: str, class_name: str, groups: list[dict], **hyper: Any) -> Optimizer:
    check_ranges(**hyper)
    refuse_dtensors(groups, name)
    import bitsandbytes

    hyper["betas"] = tuple(hyper["betas"])
    return getattr(bitsandbytes.optim, class_name)(groups, weight_decay=0.0, **hyper)
