"""AdamW: Adam with decoupled weight decay, as torch has it.

Paper: https://arxiv.org/abs/1711.05101. State: two buffers per parameter.
"""

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.optim import AdamW
from torch.optim.adamw import adamw as torch_adamw_

from hf_strategies.errors import UserError
from hf_strategies.optimizers.hyperparameters import check_ranges
from hf_strategies.optimizers.whole_tensors import is_partly_sharded

FUSED_DEVICES = ("cpu", "cuda", "mps", "xpu")


def runs_fused(params: Iterable[Tensor]) -> bool:
    """Tell whether torch has a one-pass AdamW kernel for all of `params` (3x a loop over them on a CPU)."""
    return all(param.device.type in FUSED_DEVICES and param.is_floating_point() for param in params)


def adamw(
    groups: list[dict],
    lr: float,
    *,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    decay: str = "tied",
) -> AdamW:
    """Build torch's AdamW with the betas that language models are pretrained with.

    Args:
        groups: Parameter groups; one without a `weight_decay` of its own is not decayed.
        lr: Learning rate.
        betas: Decay rates of the running mean and of the running mean square, each in [0, 1).
        eps: Added to the root of the mean square.
        decay: What a step shrinks a weight by: "tied" (the current learning rate times `weight_decay`), or
            "independent" of the base rate (the schedule's current factor times `weight_decay`, as in the paper's
            algorithm 2).

    Raises:
        UserError: A value is out of range, or decay is independent of a base rate of 0.
    """
    check_ranges(lr=lr, betas=betas, eps=eps, decay=decay)
    if decay == "independent":
        groups = [_decayed_independently(group, lr) for group in groups]
    # Where sharded and whole parameters meet, only torch's loop takes both.
    fused = runs_fused(param for group in groups for param in group["params"]) and not is_partly_sharded(groups)
    return AdamW(groups, lr=lr, betas=tuple(betas), eps=eps, weight_decay=0.0, fused=fused)


def _decayed_independently(group: dict, lr: float) -> dict:
    """Divide a group's decay by its base rate, since torch multiplies it with the current one.

    What was asked for stays as `initial_weight_decay`.
    """
    base, weight_decay = group.get("lr", lr), group.get("weight_decay", 0.0)
    if weight_decay and not base:
        raise UserError(
            f"decay 'independent' needs a learning rate above 0 in a group with weight_decay {weight_decay}"
        )
    return {
        **group,
        "decay": "independent",
        "weight_decay": weight_decay / base if weight_decay else 0.0,
        "initial_weight_decay": weight_decay,
        "initial_lr": base,  # which a schedule starts from too
    }


def init_state(param: Tensor, *, fused: bool) -> dict[str, Tensor]:
    """Return what is kept for a parameter between updates, before the first."""
    return {
        "step": torch.zeros((), dtype=torch.float32, device=param.device if fused else "cpu"),
        "exp_avg": torch.zeros_like(param),
        "exp_avg_sq": torch.zeros_like(param),
    }


def adamw_update_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    states: Sequence[dict[str, Tensor]],
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    fused: bool,
) -> None:
    """Apply one of torch's AdamW updates in place to `params` and `states`; `grads` are left as they were.

    Args:
        params: What is trained.
        grads: Their gradients.
        states: What `init_state` made for each.
        lr: Learning rate.
        betas: Decay rates of the running mean and of the running mean square.
        eps: Added to the root of the mean square.
        weight_decay: Decoupled decay.
        fused: Whether to use the one-pass kernel.
    """
    means, squares, steps = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))
    beta1, beta2 = betas
    if fused:  # the kernel itself: what torch_adamw_ does around it takes half as long as a small matrix on a CPU
        torch._foreach_add_(steps, 1)
        update_ = partial(torch._fused_adamw_, params, grads, means, squares, [], steps)
    else:
        update_ = partial(
            torch_adamw_, list(params), list(grads), means, squares, [], steps, foreach=False, fused=False
        )
    update_(lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay, eps=eps, amsgrad=False, maximize=False)
