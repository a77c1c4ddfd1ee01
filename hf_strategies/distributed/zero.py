"""What a parameter is when DeepSpeed has taken it apart."""

import math
from typing import Any

import torch
from torch import Tensor, nn

# What DeepSpeed's optimizers call the shares that they train: of stages 1 and 2, of stage 3, and of stage 1 where
# gradients of bf16 are summed in float32.
SHARES = ("single_partition_of_fp32_groups", "fp32_partitioned_groups_flat", "fp32_groups_flat_partition")


def full_shape(param: nn.Parameter) -> torch.Size:
    """Shape of the whole parameter; ZeRO-3 leaves `param.data` empty and keeps the shape in `ds_shape`."""
    return getattr(param, "ds_shape", param.shape)


def num_parameters(model: nn.Module, *, trained_only: bool = False) -> int:
    """Count the parameters of a whole model, whatever of it is on this rank; tied weights count once."""
    params = [param for param in model.parameters() if param.requires_grad or not trained_only]
    return sum(math.prod(full_shape(param)) for param in params)


def zero_optimizer(optimizer: Any) -> Any:
    """Find DeepSpeed's ZeRO optimizer among an optimizer's wrappers; None where there is none."""
    while optimizer is not None and not any(hasattr(optimizer, name) for name in SHARES):
        optimizer = getattr(optimizer, "optimizer", None)
    return optimizer


def trained_shares(zero: Any) -> list[Tensor]:
    """Return this rank's share of the weights that a ZeRO optimizer trains, in float32, each flat.

    The model's own weights are made of them after every step: changing a share takes `refresh_weights`.
    """
    return [share.detach() for name in SHARES for share in getattr(zero, name, ())]


@torch.no_grad()
def refresh_weights(zero: Any) -> None:
    """Make the model's weights anew of what the ranks' shares are now, as a step does; every rank calls it."""
    if hasattr(zero, "update_lp_params"):
        zero.update_lp_params()
        return
    zero._partition_all_parameters()  # stage 3: what a forward pass has gathered is of the shares as they were
    for number in range(len(zero.fp32_partitioned_groups_flat)):
        zero._reassign_or_swap_out_partitioned_parameters(number)
    zero._post_step(set())
