"""An update that is left out: neither the optimizer nor fp16's scaler takes any notice of it."""

from typing import Any

from torch import nn
from torch.optim import Optimizer


def leave_out(model: nn.Module, optimizer: Optimizer, scaler: Any) -> None:
    """Let the next step of an optimizer move nothing and count nothing; all else that ends an update goes on.

    Args:
        model: Its gradients are dropped.
        optimizer: The one that moves the weights, unwrapped. Some count their steps even without a gradient.
        scaler: Of fp16's loss, or None. It has looked at the gradients already, and would blame its scale.
    """
    for param in model.parameters():
        param.grad = None
    if scaler is not None and scaler.is_enabled():  # which calls a step of its own
        for found in scaler._per_optimizer_states[id(optimizer)]["found_inf_per_device"].values():
            found.zero_()
        return
    step = optimizer.step

    def do_nothing(*_: Any, **__: Any) -> None:
        optimizer.step = step

    optimizer.step = do_nothing
