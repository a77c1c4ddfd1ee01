"""Refusals for optimizers of other libraries that are wrong, or fail with a riddle, on parts of a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from hf_strategies.distributed.zero import full_shape
from hf_strategies.errors import UserError

if TYPE_CHECKING:
    import torch

AnyOptimizer = TypeVar("AnyOptimizer", bound=Optimizer)
KNOWS_SHARES = "knows_shares"  # the mark of an optimizer that has learned to live with ZeRO's


def has_dtensors(groups: list[dict]) -> bool:
    """Tell whether any parameter is one that FSDP2 or tensor parallelism has sharded."""
    return any(isinstance(param, DTensor) for group in groups for param in group["params"])


def refuse_dtensors(groups: list[dict], name: str) -> None:
    """Refuse parameters that FSDP2 or tensor parallelism has sharded.

    Raises:
        UserError: There is one.
    """
    if has_dtensors(groups):
        raise UserError(f"{name} cannot train parameters sharded by FSDP2: use adamw, lion or muon, or DDP")


def is_partly_sharded(groups: list[dict]) -> bool:
    """Tell whether sharded parameters stand beside whole ones, which torch's functions over lists do not take."""
    return len({isinstance(param, DTensor) for group in groups for param in group["params"]}) > 1


def refuse_partly_sharded(groups: list[dict], name: str) -> None:
    """Refuse sharded parameters beside whole ones.

    Raises:
        UserError: There are both.
    """
    if is_partly_sharded(groups):
        raise UserError(
            f"{name} cannot train sharded and whole parameters together: shard all of them, or use adamw, lion or muon"
        )


def expect_whole_tensors(optimizer: AnyOptimizer, name: str) -> AnyOptimizer:
    """Have `optimizer` refuse the flat shards of ZeRO and FSDP1; FSDP1's are seen now, ZeRO's at its first step.

    Args:
        optimizer: What was built over whole tensors; it is returned.
        name: What its user calls it.

    Raises:
        UserError: Its parameters are flat shards.
    """
    params = [param for group in optimizer.param_groups for param in group["params"]]
    if any(getattr(param, "_fsdp_flattened", False) for param in params):  # the mark that FSDP1 leaves
        raise _needs_whole_tensors(name)
    expected = _shapes(optimizer, whole=True)

    def compare(optimizer: Optimizer, *_: Any) -> None:
        if (
            not getattr(optimizer, KNOWS_SHARES, False) and _shapes(optimizer, whole=False) != expected
        ):  # DeepSpeed replaces them after the optimizer was built
            raise _needs_whole_tensors(name)

    optimizer.register_step_pre_hook(compare)
    return optimizer


def _shapes(optimizer: Optimizer, *, whole: bool) -> list[torch.Size]:
    params = [param for group in optimizer.param_groups for param in group["params"]]
    return [full_shape(param) if whole else param.shape for param in params]


def _needs_whole_tensors(name: str) -> UserError:
    return UserError(
        f"{name} needs whole tensors, and under ZeRO or FSDP1 each rank holds flat shards: use an element-wise "
        "optimizer (adamw, lion), or DDP"
    )
