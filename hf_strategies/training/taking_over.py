"""Putting a checkpoint's state into a model and an optimizer, however this run's processes share them."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from hf_strategies.checkpoints.training_state import TrainingState
from hf_strategies.checkpoints.weight_files import names_of
from hf_strategies.distributed.sharding import local, shard_like
from hf_strategies.errors import UserError

Names = Mapping[int, str]  # of parameters in the bare model, by their `id`

KERNELS = ("fused", "foreach", "capturable")  # how an optimizer computes here, which says nothing of what
SHOWN_NAMES = 3


class Stretch(NamedTuple):
    """Where elements of a parameter lie in a flat tensor of ZeRO's, on this rank.

    Args:
        name: Of the parameter.
        first: Of the elements, in the flattened parameter.
        numel: How many.
        start: Of them in the flat tensor.
    """

    name: str
    first: int
    numel: int
    start: int


@torch.no_grad()
def take_weights(model: nn.Module, state: TrainingState, *, trained: bool = True) -> None:
    """Copy a checkpoint's weights and buffers into a model, each rank its own part.

    Args:
        model: Its parameters may be DTensors, partitioned by ZeRO-3, or on the meta device on stages without them.
        state: The checkpoint's.
        trained: Whether to copy what is trained, too.

    Raises:
        UserError: The checkpoint lacks what is trained, or has it in another shape.
    """
    tensors, lacking = model.state_dict(keep_vars=True), []
    aliases: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        aliases.setdefault(id(tensor), []).extend(names_of(name))
    for tensor in {id(tensor): tensor for tensor in tensors.values()}.values():
        names, is_trained = aliases[id(tensor)], tensor.requires_grad
        if tensor.is_meta or (is_trained and not trained):
            continue
        stored = next((name for name in names if name in state.names), None)
        value = None if stored is None else state.weight(stored)
        if value is not None and value.shape == getattr(tensor, "ds_shape", tensor.shape):
            _copy(tensor, value)
        elif is_trained or value is not None:
            lacking.append(names[0])
    if lacking:
        more = ", ..." if len(lacking) > SHOWN_NAMES else ""
        raise UserError(
            f"the checkpoint does not fit this model: it lacks {len(lacking)} of its weights, or has them in another "
            f"shape ({', '.join(lacking[:SHOWN_NAMES])}{more})"
        )


def take_optimizer(optimizer: Optimizer, names: Names, state: TrainingState) -> None:
    """Give an optimizer over a model's own parameters what a checkpoint has kept for them.

    Args:
        optimizer: Its parameters may be DTensors.
        names: Of its parameters.
        state: The checkpoint's.

    Raises:
        UserError: Its groups are others, or what it keeps cannot be shared in another way.
    """
    kept, groups, count = {}, [], 0
    for group, settings in zip(optimizer.param_groups, _settings(optimizer, state), strict=True):
        for number, param in enumerate(group["params"], start=count):
            kept[number] = {
                key: shard_like(value, param) if _is_shared_like(key, value, param) else copy.deepcopy(value)
                for key, value in state.kept(names[id(param)]).items()
            }
        groups.append({**settings, "params": list(range(count, count + len(group["params"])))})
        count += len(group["params"])
    optimizer.load_state_dict(
        {"state": {number: found for number, found in kept.items() if found}, "param_groups": groups}
    )


def take_zero(zero: Any, names: Names, state: TrainingState) -> None:
    """Give a ZeRO optimizer a checkpoint's state, with the weights that it trains; all ranks call this.

    It is put into the form in which this rank would have written it, and DeepSpeed's own loader does the rest.

    Args:
        zero: DeepSpeed's, of stage 1 to 3; freshly made, or trained.
        names: Of its parameters.
        state: The checkpoint's.

    Raises:
        UserError: As of `take_optimizer`; or the optimizer's state lies on a disk.
    """
    if getattr(zero, "swap_optimizer", False):
        raise UserError(
            "an optimizer whose state lies on a disk (offload to NVMe) takes over none of other processes: resume as "
            "the checkpoint was trained, or without that offload"
        )
    is_partitioned = hasattr(zero, "fp32_partitioned_groups_flat")
    flats = [_flat(flat, stretches, state) for flat, stretches in _stretches(zero, names)]
    own, key = zero.state_dict(), "optimizer_state_dict" if is_partitioned else "base_optimizer_state"
    own["fp32_flat_groups" if is_partitioned else "single_partition_of_fp32_groups"] = [
        weights for weights, _ in flats
    ]
    own[key] = {
        "state": {number: kept for number, (_, kept) in enumerate(flats) if kept},
        "param_groups": [
            {**settings, "params": group["params"]}
            for settings, group in zip(_settings(zero.optimizer, state), own[key]["param_groups"], strict=True)
        ],
    }
    if is_partitioned:
        zero.checkpoint_event_prologue()
    zero.load_state_dict([own] * distributed.get_world_size(), load_from_fp32_weights=True)
    if is_partitioned:
        zero.checkpoint_event_epilogue()
    else:
        zero.update_lp_params()
    if state.loss_scale is not None and zero.dynamic_loss_scale:
        zero.loss_scaler.cur_scale = state.loss_scale


def zero_groups(zero: Any) -> list[list[Tensor]]:
    """Return the parameters in each group of the optimizer inside of ZeRO's, in its order."""
    if not hasattr(zero, "fp32_partitioned_groups_flat"):
        return zero.bf16_groups if hasattr(zero, "bf16_groups") else zero.bit16_groups
    found: list[list[Tensor]] = [[] for _ in zero.optimizer.param_groups]
    for number, params in enumerate(zero.fp16_groups):
        found[zero.sub_group_to_group_id[number]] += params
    return found


def _stretches(zero: Any, names: Names) -> Iterator[tuple[Tensor, list[Stretch]]]:
    """Yield each flat tensor of this rank, in which ZeRO trains, with the stretches of parameters that lie in it."""
    if hasattr(zero, "fp32_partitioned_groups_flat"):
        for flat, params in zip(zero.fp32_partitioned_groups_flat, zero.fp16_groups, strict=True):
            yield flat, list(_divided(params, names))
        return
    is_bf16 = hasattr(zero, "bf16_groups")
    flats = zero.fp32_groups_flat_partition if is_bf16 else zero.single_partition_of_fp32_groups
    for flat, params in zip(flats, zero_groups(zero), strict=True):
        places = [(names[id(param)], param._hp_mapping) for param in params if param._hp_mapping is not None]
        yield (
            flat,
            [
                Stretch(
                    name,
                    place.lp_fragment_address.start,
                    place.lp_fragment_address.numel,
                    place.hp_fragment_address.start,
                )
                for name, place in places
            ],
        )


def _divided(params: Sequence[Any], names: Names) -> Iterator[Stretch]:
    """Yield what this rank has of ZeRO-3's parameters: each divided by the ranks, rounded up."""
    start = 0
    for param in params:
        size = param.ds_tensor.ds_numel
        first = size * distributed.get_rank(param.ds_process_group)
        yield Stretch(names[id(param)], first, min(size, max(param.ds_numel - first, 0)), start)
        start += size


def _flat(flat: Tensor, stretches: Sequence[Stretch], state: TrainingState) -> tuple[Tensor, dict[str, Any]]:
    """Return the weights of one flat tensor, and what the optimizer keeps for it."""
    weights = torch.zeros_like(flat)
    kept: dict[str, Any] = {}
    for name, first, numel, start in stretches:
        if name not in state.names:
            raise UserError(f"the checkpoint does not fit this model: it lacks {name}")
        weight = state.weight(name)
        weights[start : start + numel] = weight.flatten()[first : first + numel].to(weights)
        for key, value in state.kept(name).items():
            if _is_shared_like(key, value, weight):
                target = kept.setdefault(key, torch.zeros_like(flat))
                target[start : start + numel] = value.flatten()[first : first + numel].to(target)
            elif kept.setdefault(key, copy.deepcopy(value)) != value:
                raise UserError(
                    f"ZeRO keeps one {key} for a whole group of the optimizer, the checkpoint has {kept[key]} and "
                    f"{value} in one: resume without ZeRO, as it was trained"
                )
    return weights, kept


def _settings(optimizer: Optimizer, state: TrainingState) -> list[dict[str, Any]]:
    """Return the groups' settings and counters as the checkpoint has them, matched by name where groups have one."""
    theirs: dict[Any, dict] = {group.get("name", number): group for number, group in enumerate(state.groups)}
    ours = [group.get("name", number) for number, group in enumerate(optimizer.param_groups)]
    if not set(ours) <= set(theirs):
        raise UserError(
            f"the checkpoint does not fit this run: its optimizer's groups are {list(theirs)}, this one's {ours}"
        )
    return [
        theirs[name] | {kernel: group[kernel] for kernel in KERNELS if kernel in group}
        for name, group in zip(ours, optimizer.param_groups, strict=True)
    ]


def _is_shared_like(key: str, value: Any, weight: Tensor) -> bool:
    """Tell whether a value is shared as its weight is, True, or the same on all ranks.

    Raises:
        UserError: It is neither.
    """
    if not isinstance(value, Tensor) or value.ndim == 0:
        return False
    if value.shape != weight.shape:
        raise UserError(
            f"the optimizer keeps {key} {tuple(value.shape)} for a weight {tuple(weight.shape)}: what is not of its "
            "shape cannot be shared among other processes; resume as the checkpoint was trained"
        )
    return True


def _copy(tensor: Tensor, value: Tensor) -> None:
    """Copy this rank's part of a whole tensor."""
    if hasattr(tensor, "ds_tensor"):  # frozen under ZeRO-3
        part = tensor.ds_tensor
        first = distributed.get_rank(tensor.ds_process_group) * part.ds_numel
        mine = value.flatten()[first : first + part.ds_numel]
        part.data[: mine.numel()].copy_(mine)
    else:
        local(tensor).copy_(local(shard_like(value, tensor)))
