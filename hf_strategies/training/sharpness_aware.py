"""Sharpness-aware minimisation: the gradient is taken where the loss is highest nearby.

Paper: https://arxiv.org/abs/2010.01412 (Algorithm 1). Cost: a second forward and backward pass, and for its duration a
copy of the weights that train.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm


def sharpness_aware_pass(
    params: Iterable[nn.Parameter],
    backward: Callable[[], Tensor],
    *,
    rho: float,
    alone: AbstractContextManager,
) -> Tensor:
    """Add the gradient of one micro-batch, taken `rho` uphill of the weights, to the gradients that are there.

    Both passes draw the same random numbers, so that dropout shows them one and the same network, and what follows
    draws as if there had been one pass. The weights come back to the bit, also when a pass raises. Statistics of
    batch norms see both passes.

    Args:
        params: What trains; others are left where they are.
        backward: Runs forward and backward on the micro-batch and returns its loss.
        rho: Length of the step uphill.
        alone: Entered around the first pass, to keep ranks from averaging its gradients: each climbs its own loss.

    Returns:
        The loss at the weights, not at the point uphill.
    """
    params = list(params)
    kind, devices = accelerators_of(params)
    accumulated = [param.grad for param in params]
    for param in params:
        param.grad = None
    try:
        with alone, torch.random.fork_rng(devices, device_type=kind):
            loss = backward()
        grads = [param.grad for param in params]
    finally:
        for param, grad in zip(params, accumulated):
            param.grad = grad
    movable = [(param, grad) for param, grad in zip(params, grads) if grad is not None]
    weights = [param.detach().clone() for param, _ in movable]
    try:
        climb_([param for param, _ in movable], [grad for _, grad in movable], rho=rho)
        backward()
    finally:
        with torch.no_grad():
            for (param, _), weight in zip(movable, weights):
                param.copy_(weight)
    return loss


@torch.no_grad()
def climb_(params: Sequence[Tensor], grads: Sequence[Tensor], *, rho: float) -> None:
    """Move `params` in place along `grads` by `rho` in all; not at all where every gradient is zero.

    Args:
        params: Weights, of any shapes.
        grads: Their gradients, up to one common factor.
        rho: Length of the step over all of them together.
    """
    if not params:
        return
    scale = rho / get_total_norm(grads).clamp(min=torch.finfo(torch.float32).tiny)
    for param, grad in zip(params, grads):
        param.addcmul_(grad, scale.to(grad.device))


def accelerators_of(params: Sequence[Tensor]) -> tuple[str, list[int]]:
    """Return the kind and the numbers of the devices that draw random numbers of their own, besides the CPU."""
    devices = [param.device for param in params if param.device.type in ("cuda", "xpu")]
    return devices[0].type if devices else "cuda", sorted({device.index for device in devices})
