"""Muon: momentum whose every hidden matrix is replaced by the nearest orthogonal one; AdamW for all other parameters.

Method: https://kellerjordan.github.io/posts/muon/. Scaling and decay: https://arxiv.org/abs/2502.16982.
State: one buffer per parameter in the matrix half, two in the AdamW half.
Sharding: of FSDP2's DTensors every rank gathers the whole matrix for the update; flat shards are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from hf_strategies.errors import UserError
from hf_strategies.optimizers import adamw, muon_update
from hf_strategies.optimizers.alike import group_alike
from hf_strategies.optimizers.hyperparameters import check_ranges
from hf_strategies.optimizers.matrices import Layout, whole_matrix

ADAMW_EPS = 1e-8


class Muon(Optimizer):
    """Stateful shell around `muon_update_` and torch's AdamW.

    Args:
        params: Matrices, or parameter groups; a group with `matrix=False` belongs to the AdamW half, another one may
            say by `layouts` which matrices each of its parameters is made of. Every group has an `lr` of its own, so a
            schedule scales both halves.
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
        defaults: dict[str, Any] = {
            "lr": lr,
            "momentum": momentum,
            "scaling": scaling,
            "betas": betas,
            "weight_decay": weight_decay,
        }
        check_ranges(**defaults)
        super().__init__(params, {**defaults, "betas": tuple(betas), "matrix": True})

    def add_param_group(self, param_group: dict) -> None:
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        if group["matrix"]:
            if "layouts" not in group:
                group["layouts"] = [whole_matrix(torch.atleast_2d(param).shape) for param in group["params"]]
            _refuse_shards(group["params"], group["layouts"])
        # Under this name torch keeps the step counts on the parameters' device when it loads a state dict.
        group["fused"] = not group["matrix"] and adamw.runs_fused(group["params"])

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            if group["matrix"]:
                self._step_matrices(group)
            else:
                self._step_adamw(group)
        return loss

    def _step_matrices(self, group: dict) -> None:
        _refuse_shards(group["params"], group["layouts"])  # DeepSpeed puts them into groups that were made already
        hyper = {key: group[key] for key in ("lr", "momentum", "weight_decay", "scaling")}
        members = [pair for pair in zip(group["params"], group["layouts"]) if pair[0].grad is not None]
        for batch in muon_update.batches_of_one_shape(members):
            for param, _ in batch:
                if not self.state[param]:
                    self.state[param] = {"momentum": torch.zeros_like(param)}
            params, layouts = zip(*batch)
            grads, averages = [param.grad for param in params], [self.state[param]["momentum"] for param in params]
            muon_update.muon_update_(params, grads, averages, layouts, **hyper)

    def _step_adamw(self, group: dict) -> None:
        params = [param for param in group["params"] if param.grad is not None]
        for param in params:
            if not self.state[param]:
                self.state[param] = adamw.init_state(param, fused=group["fused"])
        hyper = {key: group[key] for key in ("lr", "betas", "weight_decay", "fused")}
        for batch in group_alike(params):
            grads, states = [param.grad for param in batch], [self.state[param] for param in batch]
            adamw.adamw_update_(batch, grads, states, eps=ADAMW_EPS, **hyper)


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
        groups: Parameter groups; those of matrices may say by `layouts` what each parameter is made of.
        lr: Learning rate of the matrices.
        momentum: Of the matrices, in [0, 1).
        scaling: Of the matrices' updates: "rms" (an update of AdamW's size) or "spectral".
        adamw_lr: Learning rate of everything else where its group has none; as `lr` if None.
        adamw_betas: Betas of everything else, each in [0, 1).

    Raises:
        UserError: A value is out of range, or no group holds matrices.
    """
    if not any(group["matrix"] for group in groups):
        raise UserError("muon owns 0 parameters: no trainable hidden weight has two dimensions; use adamw")
    check_ranges(adamw_lr=adamw_lr, adamw_betas=adamw_betas)
    rest_lr = lr if adamw_lr is None else adamw_lr
    return Muon(
        [group if group["matrix"] else {"lr": rest_lr, **group} for group in groups],
        lr,
        momentum=momentum,
        scaling=scaling,
        betas=adamw_betas,
    )


def _refuse_shards(params: Sequence[Tensor], layouts: Sequence[Layout]) -> None:
    """Raise for a parameter without its matrices: a shard cannot be orthogonalised, only the whole matrix can."""
    for param, layout in zip(params, layouts):
        if param.ndim < 2 or param.numel() != math.prod(layout["shape"]):
            raise UserError(
                f"muon needs whole matrices, got a parameter of shape {list(param.shape)}: under ZeRO or FSDP1 each "
                "rank holds flat shards; use an element-wise optimizer (adamw, lion), or DDP or FSDP2"
            )
