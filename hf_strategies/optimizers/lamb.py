"""LAMB: Adam's direction for each tensor, given the length of the tensor, so that very large batches stay stable.

Paper: https://arxiv.org/abs/1904.00962 (Algorithm 2). State: two buffers per parameter.
Sharding: of FSDP2's DTensors the norms are those of the whole tensor; flat shards are refused.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Partial, Replicate
from torch.optim import Optimizer

from hf_strategies.optimizers.adamw import adamw_update_, init_state, runs_fused
from hf_strategies.optimizers.alike import group_alike
from hf_strategies.optimizers.hyperparameters import check_ranges
from hf_strategies.optimizers.whole_tensors import expect_whole_tensors

# Tensors are updated together, up to so many elements: for 256 MB of scratch memory.
MAX_BATCH_ELEMENTS = 2**26


def lamb_update_(
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
    """Apply one update in place to `params` and `states`; `grads` are left as they were.

    The learning rate is the length of a step relative to the tensor: the paper's phi is the identity.

    Args:
        params: Tensors, each with a trust ratio of its own.
        grads: Their gradients.
        states: What `adamw.init_state` made for each.
        lr: Learning rate.
        betas: Decay rates of the running mean and of the running mean square.
        eps: Added to the root of the mean square.
        weight_decay: Decoupled decay; the trust ratio counts it in.
        fused: Whether to use torch's one-pass kernel.
    """
    # AdamW's kernel subtracts from what it is given: with a rate of 1 it leaves the whole direction, negated.
    adam_ = partial(adamw_update_, lr=1.0, betas=betas, eps=eps, weight_decay=0.0, fused=fused)
    if params[0].device.type == "cpu" and not isinstance(params[0], DTensor):
        # One by one: a tensor stays in the cache for all passes over it, and numbers cost less than small tensors.
        for param, grad, state in zip(params, grads, states):
            step = param.mul(-weight_decay)
            adam_([step], [grad], [state])
            norm, step_norm = torch.linalg.vector_norm(param).item(), torch.linalg.vector_norm(step).item()
            param.add_(step, alpha=lr * norm / step_norm if norm > 0 and step_norm > 0 else lr)
    else:
        steps = torch._foreach_mul(params, -weight_decay)
        adam_(steps, grads, states)
        ratios = trust_ratios(_norms(params), _norms(steps))
        torch._foreach_mul_(steps, list(ratios.unbind()))  # on the device: a step waits for no number
        torch._foreach_add_(params, steps, alpha=lr)


def trust_ratios(weight_norms: Tensor, step_norms: Tensor) -> Tensor:
    """Return the length of each weight over that of its step; 1 where either is 0.

    Args:
        weight_norms: Norms of the weights. `[tensors]`.
        step_norms: Norms of their steps. `[tensors]`.
    """
    both = (weight_norms > 0) & (step_norms > 0)
    return torch.where(both, weight_norms / step_norms, 1.0)


def _norms(tensors: Sequence[Tensor]) -> Tensor:
    """Return the norms of whole tensors, of DTensors with one message for all of them. `[tensors]`."""
    first = tensors[0]
    if isinstance(first, DTensor):
        squares = _norms([tensor.to_local() for tensor in tensors]).square()
        placements = [Partial() if placement.is_shard() else Replicate() for placement in first.placements]
        return DTensor.from_local(squares, first.device_mesh, placements).full_tensor().sqrt()
    return torch.stack(torch._foreach_norm(tensors))


class Lamb(Optimizer):
    """Stateful shell around `lamb_update_`; vectors and scalars (norms, biases) get AdamW's update.

    Args:
        params: Parameters, or groups of them.
        lr: Learning rate of groups without their own.
        betas: Decay rates of the running mean and of the running mean square, each in [0, 1).
        eps: Added to the root of the mean square.
        weight_decay: Decoupled decay of groups without their own.

    Raises:
        UserError: A value is out of range.
    """

    def __init__(
        self,
        params,
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        check_ranges(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay})

    def add_param_group(self, param_group: dict) -> None:
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        # Under this name torch keeps the step counts on the parameters' device when it loads a state dict.
        group["fused"] = runs_fused(group["params"])

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            hyper = {key: group[key] for key in ("lr", "betas", "eps", "weight_decay", "fused")}
            params = [param for param in group["params"] if param.grad is not None]
            for param in params:
                if not self.state[param]:
                    self.state[param] = init_state(param, fused=group["fused"])
            for update_, batch in _batches(params):
                update_(batch, [param.grad for param in batch], [self.state[param] for param in batch], **hyper)
        return loss


def _batches(params: Sequence[Tensor]) -> Iterator[tuple[Callable[..., None], list[Tensor]]]:
    """Pair parameters with their update; those in a list are alike."""
    for tensors in group_alike(param for param in params if param.ndim >= 2):
        room = MAX_BATCH_ELEMENTS
        batch: list[Tensor] = []
        for tensor in tensors:
            if batch and tensor.numel() > room:
                yield lamb_update_, batch
                room, batch = MAX_BATCH_ELEMENTS, []
            room -= tensor.numel()
            batch.append(tensor)
        yield lamb_update_, batch
    for vectors in group_alike(param for param in params if param.ndim < 2):
        yield adamw_update_, vectors


def lamb(groups: list[dict], lr: float, *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-6) -> Optimizer:
    """Build LAMB, which refuses parts of tensors: their norms are not those of the whole.

    Args:
        groups: Parameter groups.
        lr: Learning rate: the length of a step relative to the tensor it moves.
        betas: Decay rates of the running mean and of the running mean square, each in [0, 1).
        eps: Added to the root of the mean square.

    Raises:
        UserError: A value is out of range, or the parameters are flat shards.
    """
    return expect_whole_tensors(Lamb(groups, lr, betas=betas, eps=eps), "lamb")
