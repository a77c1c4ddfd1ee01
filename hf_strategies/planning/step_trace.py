"""What a training step keeps and needs in memory, found by going through it with tensors that have no contents.

So it is exact for any architecture, attention and head, and costs seconds and no memory, also for models that are far
too large for this machine. Attention is the fused one of a CPU, which keeps what FlashAttention keeps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from hf_strategies.planning.live_tensors import LiveTensors

Inputs = Callable[[], dict[str, torch.Tensor]]


@dataclass(frozen=True, kw_only=True)
class StepTrace:
    """Bytes besides weights and optimizer state.

    Args:
        activations: What a forward pass keeps for the backward pass.
        first: The most during both passes of the first micro-batch, which makes the gradients.
        later: The most during those of another micro-batch, which finds the gradients there.
    """

    activations: int
    first: int
    later: int


def trace_step(
    model: nn.Module, inputs: Inputs, *, weights: torch.dtype, autocast: torch.dtype, recompute: bool
) -> StepTrace:
    """Go through two micro-batches of training.

    Args:
        model: On the meta device; of no further use afterwards.
        inputs: Makes what it is called with, labels included, on the default device.
        weights: What its weights are kept in.
        autocast: What is computed in.
        recompute: Whether activations are checkpointed: kept at the blocks' borders, and computed again.
    """
    with FakeTensorMode(), LiveTensors() as live:
        pretend(model, weights)
        model.train()
        if recompute:
            model.activation_checkpointing_enable()
        batch = inputs()
        before = live.bytes
        live.restart()
        kept = _pass(model, batch, live, autocast) - before
        first = live.peak - before
        live.restart()
        _pass(model, batch, live, autocast)
        return StepTrace(activations=kept, first=first, later=live.peak - before)


def trace_evaluation(model: nn.Module, inputs: Inputs, *, autocast: torch.dtype) -> int:
    """Return the most bytes besides the weights while a batch is evaluated; its outputs are turned to float32."""
    with FakeTensorMode(), LiveTensors() as live:
        pretend(model)
        model.eval()
        batch = inputs()
        before = live.bytes
        live.restart()
        with torch.no_grad(), _computing_in(autocast):
            returned: Any = model(**batch)
        returned.logits.float()
        return live.peak - before


def pretend(model: nn.Module, weights: torch.dtype | None = None) -> None:
    """Turn what a model has on the meta device into fake tensors of a CPU, what is tied once.

    Args:
        model: Changed in place.
        weights: What its parameters are kept in; None leaves that.
    """
    made: dict[int, torch.Tensor] = {}

    def fake(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in made:
            is_weight = isinstance(tensor, nn.Parameter)
            dtype = weights if is_weight and weights is not None and tensor.is_floating_point() else tensor.dtype
            copy = torch.empty(tensor.shape, dtype=dtype, device="cpu")
            made[id(tensor)] = nn.Parameter(copy, requires_grad=tensor.requires_grad) if is_weight else copy
        return made[id(tensor)]

    for module in model.modules():
        for table in (module._parameters, module._buffers, vars(module)):
            for name, value in list(table.items()):
                if isinstance(value, torch.Tensor) and value.is_meta:
                    table[name] = fake(value)


def _pass(model: nn.Module, batch: dict[str, torch.Tensor], live: LiveTensors, autocast: torch.dtype) -> int:
    """Go forward and backward; return the bytes between the two."""
    with _computing_in(autocast):
        loss = model(**batch).loss
    kept = live.bytes
    loss.backward()
    return kept


def _computing_in(dtype: torch.dtype) -> torch.autocast:
    return torch.autocast("cpu", dtype=dtype, enabled=dtype is not torch.float32)
