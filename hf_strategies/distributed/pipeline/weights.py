"""The weights of a model whose stages have some each: letting go of the others, and files that hold them all."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, distributed, nn
from transformers import PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from hf_strategies.distributed.pipeline.place import Place


def leave_to_other_stages(model: nn.Module, own: Sequence[nn.Module]) -> None:
    """Move all parameters of a model to the meta device but those of a stage's modules, in place.

    Tied parameters stay tied, also those that are not there any more.
    """
    kept = {id(param) for module in own for param in module.parameters()}
    left: dict[nn.Parameter, nn.Parameter] = {}
    for module in model.modules():
        for name, param in module._parameters.items():
            if param is None or id(param) in kept:
                continue
            if param not in left:
                empty = torch.empty_like(param, device="meta")
                left[param] = nn.Parameter(empty, requires_grad=param.requires_grad)
            module._parameters[name] = left[param]


def is_here(param: Tensor) -> bool:
    """Tell whether a parameter's values are on this stage."""
    return param.device.type != "meta"


def names_of_stages(model: nn.Module, units: Sequence[nn.Module], cuts: Sequence[int]) -> list[list[str]]:
    """List what each stage saves of a model's state: what two of them have, the first; what is in no unit, the first.

    Args:
        model: The whole model, or a stage of it.
        units: What it can be cut between.
        cuts: Numbers of the units at which stages begin, and their number.
    """
    stage_of: dict[int, int] = {}
    for stage in reversed(range(len(cuts) - 1)):
        for unit in units[cuts[stage] : cuts[stage + 1]]:
            stage_of |= {id(tensor): stage for tensor in unit.state_dict(keep_vars=True).values()}
    names: list[list[str]] = [[] for _ in cuts[1:]]
    told: set[int] = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in told:
            names[stage_of.get(id(tensor), 0)].append(name)
        told.add(id(tensor))
    return names


def save_stages(model: PreTrainedModel, folder: Path, place: Place, names: Sequence[Sequence[str]]) -> None:
    """Write a folder that `from_pretrained` loads in one process; all processes call this.

    Each stage writes its part in a file of its own, the first process also the index and what else belongs to a model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = model.state_dict()
    own = {name: state[name] for name in names[place.stage]}
    if hasattr(model, "peft_config"):
        _save_adapter(model, folder, place, own)
        return
    own = revert_weight_conversion(model, own)
    parts: list[tuple[str, list[str], int]] = [("", [], 0)] * (place.stages * place.replicas)
    file = f"model-{place.stage + 1:05}-of-{place.stages:05}.safetensors"
    size = sum(tensor.numel() * tensor.element_size() for tensor in own.values())
    distributed.all_gather_object(parts, (file, list(own), size))  # before anything is written, which may fail
    if place.replica == 0:
        save_file({name: tensor.contiguous() for name, tensor in own.items()}, folder / file, {"format": "pt"})
    if place.rank == 0:
        (folder / SAFE_WEIGHTS_NAME).unlink(missing_ok=True)
        parts = parts[:: place.replicas]
        index = {
            "metadata": {"total_size": sum(size for *_, size in parts)},
            "weight_map": {name: file for file, stored, _ in parts for name in stored},
        }
        (folder / SAFE_WEIGHTS_INDEX_NAME).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        model.config.architectures = [type(model).__name__]
        model.config.dtype = str(model.dtype).removeprefix("torch.")
        model.config.save_pretrained(folder)
        if model.can_generate():
            model.generation_config.save_pretrained(folder)


def _save_adapter(model: PreTrainedModel, folder: Path, place: Place, own: dict[str, Tensor]) -> None:
    trained = {name for name, param in model.named_parameters() if param.requires_grad}
    parts: list[dict[str, Tensor]] = [{}] * (place.stages * place.replicas)
    distributed.all_gather_object(parts, {name: own[name].cpu() for name in own if name in trained})
    if place.rank == 0:
        model.save_pretrained(folder, state_dict={name: value for part in parts for name, value in part.items()})
