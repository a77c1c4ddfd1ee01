"""One update of Muon's matrix half: pure functions of parameters, gradients and state.

Method: https://kellerjordan.github.io/posts/muon/. Scaling and decay: https://arxiv.org/abs/2502.16982.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from hf_strategies.optimizers.alike import kind_of
from hf_strategies.optimizers.matrices import Layout, join, split
from hf_strategies.optimizers.newton_schulz import max_batch_elements, orthogonalize_stacks

# "rms" gives an update the root mean square of AdamW's, about 0.2, so that both halves share learning rate and decay;
# "spectral" bounds what an update does to the layer's output.
SCALINGS: dict[str, Callable[[int, int], float]] = {
    "rms": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
    "spectral": lambda rows, columns: math.sqrt(max(1.0, rows / columns)),
}


def muon_update_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    averages: Sequence[Tensor],
    layouts: Sequence[Layout],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    scaling: str,
) -> None:
    """Apply one update in place to `params` and `averages`; `grads` are left as they were.

    Weight decay is decoupled: it scales with `lr`, and not with the matrix' shape.

    Args:
        params: Parameters that are made of matrices.
        grads: Their gradients.
        averages: The running mean gradient of each.
        layouts: Which matrices each is made of.
        lr: Learning rate.
        momentum: Decay rate of the running mean, in [0, 1); Nesterov's look-ahead uses it once more.
        weight_decay: Decoupled decay.
        scaling: A key of `SCALINGS`.
    """
    torch._foreach_lerp_(averages, grads, 1.0 - momentum)
    directions = torch._foreach_lerp(grads, averages, momentum)
    counts = [len(layout["parts"]) for layout in layouts]
    stacks = [part for whole, layout in zip(directions, layouts) for part in split(_gathered(whole), layout)]
    stacks = orthogonalize_stacks(stacks)
    torch._foreach_mul_(stacks, [SCALINGS[scaling](*stack.shape[1:]) for stack in stacks])
    remaining = iter(stacks)
    updates = [
        _sharded_like(param, join([next(remaining) for _ in range(count)], layout, param.shape))
        for param, layout, count in zip(params, layouts, counts)
    ]
    torch._foreach_mul_(params, 1.0 - lr * weight_decay)
    torch._foreach_add_(params, updates, alpha=-lr)


def batches_of_one_shape(members: Sequence[tuple[Tensor, Layout]]) -> Iterator[list[tuple[Tensor, Layout]]]:
    """Yield parameters that can be updated at once: of matrices of one shape up to transposition.

    Args:
        members: Parameters in any order, and which matrices they are made of.
    """
    alike: dict[tuple, list[tuple[Tensor, Layout]]] = defaultdict(list)
    for param, layout in members:
        sides = sorted(layout["shape"][1:])
        alike[(*sides, *kind_of(param))].append((param, layout))
    for batch in alike.values():
        size = max(1, max_batch_elements(batch[0][0]) // batch[0][0].numel())
        for start in range(0, len(batch), size):
            yield batch[start : start + size]


def _gathered(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _sharded_like(param: Tensor, whole: Tensor) -> Tensor:
    if not isinstance(param, DTensor):
        return whole
    return distribute_tensor(whole, param.device_mesh, param.placements, src_data_rank=None)  # every rank has it all
