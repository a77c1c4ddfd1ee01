"""Muon: momentum whose every hidden matrix is replaced by the nearest orthogonal one; AdamW for all other parameters.

Method: https://kellerjordan.github.io/posts/muon/. Scaling and decay: https://arxiv.org/abs/2502.16982.
State: one buffer per parameter in the matrix half, two in the AdamW half.
Sharding: FSDP2's parameters are DTensors, whose products see the whole matrix; flat shards are refused.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.adamw import adamw as adamw_update_

from hf_strategies.errors import UserError
from hf_strategies.optimizers.adamw import runs_fused
from hf_strategies.optimizers.hyperparameters import check_ranges
from hf_strategies.optimizers.newton_schulz import orthogonalize, product_dtype

ADAMW_EPS = 1e-8

# "rms" gives an update the root mean square of AdamW's, about 0.2, so that both halves share learning rate and decay;
# "spectral" bounds what an update does to the layer's output.
SCALINGS: dict[str, Callable[[int, int], float]] = {
    "rms": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
    "spectral": lambda rows, columns: math.sqrt(max(1.0, rows / columns)),
}

# Matrices of one shape are orthogonalised together, up to this many elements: enough to fill a device, and
# about 200 MB of scratch memory in bf16.
MAX_BATCH_ELEMENTS = 2**24


def muon_update_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    momenta: Sequence[Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    scaling: str,
    precision: torch.dtype,
) -> None:
    """Apply one update in place to `params` and `momenta`; `grads` are left as they were.

    Weight decay is decoupled: it scales with `lr`, and not with the matrix' shape.

    Args:
        params: Matrices of one shape, up to transposition. Each `[rows, columns]`.
        grads: Their gradients.
        momenta: Their running mean gradients.
        lr: Learning rate.
        momentum: Decay rate of the running mean, in [0, 1); Nesterov's look-ahead uses it once more.
        weight_decay: Decoupled decay.
        scaling: A key of `SCALINGS`.
        precision: Dtype of the matrix products.
    """
    directions = []
    for grad, buffer in zip(grads, momenta):
        buffer.lerp_(grad, 1.0 - momentum)
        direction = grad.lerp(buffer, momentum).to(precision)
        directions.append(direction.mT if _is_tall(direction) else direction)
    for param, update in zip(params, orthogonalize(torch.stack(directions))):
        step = lr * SCALINGS[scaling](*param.shape)
        param.mul_(1.0 - lr * weight_decay).add_(update.mT if _is_tall(param) else update, alpha=-step)


class Muon(Optimizer):
    """Stateful shell around `muon_update_` and torch's AdamW.

    Args:
        params: Matrices, or parameter groups; a group with `matrix=False` belongs to the AdamW half. Every group has
            an `lr` of its own, so a schedule scales both halves.
        lr: Learning rate of groups without their own.
        momentum: Of the matrix half, in [0, 1).
        scaling: Of the matrix half: "rms" or "spectral".
        betas: Of the AdamW half, each in [0, 1).
        weight_decay: Decoupled decay of groups without their own.

    Raises:
        UserError: A value is out of range, or a group of matrices holds something else.
    """

    def __init__(
        self,
        params,
        lr: float,
        *,
        momentum: float = 0.95,
        scaling: str = "rms",
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.0,
    ) -> None:
        check_ranges(lr=lr, momentum=momentum, scaling=scaling, betas=betas, weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "scaling": scaling,
            "betas": tuple(betas),
            "weight_decay": weight_decay,
            "matrix": True,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict) -> None:
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        if group["matrix"]:
            _refuse_other_than_matrices(group["params"])
        # Under this name torch keeps the step counts on the parameters' device when it loads a state dict.
        group["fused"] = not group["matrix"] and runs_fused(group["params"])

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            params = [param for param in group["params"] if param.grad is not None]
            if group["matrix"]:
                self._step_matrices(params, group)
            else:
                self._step_adamw(params, group)
        return loss

    def _step_matrices(self, params: list[Tensor], group: dict) -> None:
        _refuse_other_than_matrices(params)  # DeepSpeed puts flat shards in the groups after they were made
        hyper = {key: group[key] for key in ("lr", "momentum", "weight_decay", "scaling")}
        for batch in batches_of_one_shape(params, MAX_BATCH_ELEMENTS):
            for param in batch:
                if not self.state[param]:
                    self.state[param]["momentum"] = torch.zeros_like(param)
            momenta = [self.state[param]["momentum"] for param in batch]
            grads = [param.grad for param in batch]
            muon_update_(batch, grads, momenta, **hyper, precision=product_dtype(batch[0]))

    def _step_adamw(self, params: list[Tensor], group: dict) -> None:
        for param in params:
            if not self.state[param]:
                count_device = param.device if group["fused"] else "cpu"
                self.state[param]["step"] = torch.zeros((), dtype=torch.float32, device=count_device)
                self.state[param]["exp_avg"] = torch.zeros_like(param)
                self.state[param]["exp_avg_sq"] = torch.zeros_like(param)
        states = [self.state[param] for param in params]
        adamw_update_(
            params,
            [param.grad for param in params],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=group["fused"],
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=ADAMW_EPS,
            maximize=False,
        )


def muon(
    groups: list[dict],
    lr: float,
    *,
    momentum: float = 0.95,
    scaling: str = "rms",
    adamw_lr: float | None = None,
    adamw_betas: tuple[float, float] = (0.9, 0.95),
) -> Muon:
    """Build Muon over groups tagged `matrix` or not.

    Args:
        groups: Parameter groups, as `split_matrices` makes them.
        lr: Learning rate of the matrices.
        momentum: Of the matrices, in [0, 1).
        scaling: Of the matrices' updates: "rms" (an update of AdamW's size) or "spectral".
        adamw_lr: Learning rate of everything else; as `lr` if None.
        adamw_betas: Betas of everything else, each in [0, 1).

    Raises:
        UserError: A value is out of range, or no group holds matrices.
    """
    if not any(group["matrix"] for group in groups):
        raise UserError("muon owns 0 parameters: no trainable hidden weight has two dimensions; use adamw")
    check_ranges(adamw_lr=adamw_lr, adamw_betas=adamw_betas)
    rest_lr = lr if adamw_lr is None else adamw_lr
    groups = [group if group["matrix"] else {"lr": rest_lr, **group} for group in groups]
    return Muon(groups, lr, momentum=momentum, scaling=scaling, betas=adamw_betas)


def batches_of_one_shape(params: Sequence[Tensor], max_elements: int) -> Iterator[list[Tensor]]:
    """Yield matrices that can be orthogonalised at once: of one shape up to transposition, dtype and device.

    Args:
        params: Matrices in any order. Each `[rows, columns]`.
        max_elements: Size of a batch; a larger matrix goes alone.
    """
    alike: dict[tuple, list[Tensor]] = defaultdict(list)
    for param in params:
        alike[(min(param.shape), max(param.shape), param.dtype, param.device)].append(param)
    for (rows, columns, *_), members in alike.items():
        size = max(1, max_elements // (rows * columns))
        for start in range(0, len(members), size):
            yield members[start : start + size]


def _refuse_other_than_matrices(params: list[Tensor]) -> None:
    """Raise for anything without two dimensions: a shard cannot be orthogonalised, only the whole matrix can."""
    for param in params:
        if param.ndim != 2:
            raise UserError(
                f"muon needs whole matrices, got a parameter of shape {list(param.shape)}: under ZeRO or FSDP1 each "
                "rank holds flat shards; use an element-wise optimizer (adamw, lion), or DDP or FSDP2"
            )


def _is_tall(matrix: Tensor) -> bool:
    return matrix.shape[0] > matrix.shape[1]
