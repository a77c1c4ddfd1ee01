"""AdamW: Adam with decoupled weight decay, as torch has it.

Paper: https://arxiv.org/abs/1711.05101. State: two buffers per parameter.
"""

from collections.abc import Iterable

from torch import Tensor
from torch.optim import AdamW

from hf_strategies.optimizers.hyperparameters import check_ranges

FUSED_DEVICES = ("cpu", "cuda", "mps", "xpu")


def runs_fused(params: Iterable[Tensor]) -> bool:
    """Tell whether torch has a one-pass AdamW kernel for all of `params` (3x a loop over them on a CPU)."""
    return all(param.device.type in FUSED_DEVICES and param.is_floating_point() for param in params)


def adamw(groups: list[dict], lr: float, *, betas: tuple[float, float] = (0.9, 0.95), eps: float = 1e-8) -> AdamW:
    """Build torch's AdamW with the betas that language models are pretrained with.

    Args:
        groups: Parameter groups; one without a `weight_decay` of its own is not decayed.
        lr: Learning rate.
        betas: Decay rates of the running mean and of the running mean square, each in [0, 1).
        eps: Added to the root of the mean square.

    Raises:
        UserError: A value is out of range.
    """
    check_ranges(lr=lr, betas=betas, eps=eps)
    fused = runs_fused(param for group in groups for param in group["params"])
    return AdamW(groups, lr=lr, betas=tuple(betas), eps=eps, weight_decay=0.0, fused=fused)
