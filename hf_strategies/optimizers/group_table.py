"""What an optimizer does to which part of a model, as rows of a table."""

import math
from typing import NamedTuple

from torch.optim import Optimizer

from hf_strategies.distributed.zero import full_shape


class GroupRow(NamedTuple):
    """One parameter group: its name, what it holds, its base rate, its decay, and what updates it."""

    group: str
    tensors: int
    parameters: int
    lr: float
    weight_decay: float
    optimizer: str


def describe_param_groups(optimizer: Optimizer) -> list[GroupRow]:
    """List the groups of an optimizer, ours or any other, also inside the wrappers of accelerate and DeepSpeed.

    Rates and decays are those that a schedule or a curve starts from. Groups that `create_optimizer` made keep the
    names and the counts of then, whatever has been sharded since; others are numbered and counted as they are.
    """
    kernel = optimizer
    while hasattr(kernel, "optimizer"):
        kernel = kernel.optimizer
    return [
        GroupRow(
            group=group.get("name", f"group {number}"),
            tensors=group.get("num_tensors", len(group["params"])),
            parameters=group.get("num_parameters", sum(math.prod(full_shape(param)) for param in group["params"])),
            lr=float(group.get("initial_lr", group["lr"])),
            weight_decay=group.get("initial_weight_decay", group.get("weight_decay", 0.0)),
            optimizer=group.get("optimizer", type(kernel).__name__),
        )
        for number, group in enumerate(optimizer.param_groups)
    ]
