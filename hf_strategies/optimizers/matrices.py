"""Which parameters of a model are linear maps between hidden activations, and which matrices each is made of.

Libraries store several maps in one parameter: query, key and value, both halves of a gated feed-forward, the gates of
a recurrence, all experts of a mixture. What a matrix optimizer does to a matrix means something for each of them
alone.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from hf_strategies.distributed.zero import full_shape
from hf_strategies.module_tree.dynamics import filter_parameters
from hf_strategies.module_tree.embeddings import embedding_parameters

FUSED_ATTENTION = {"qkv", "qkv_proj", "qkv_linear", "Wqkv", "c_attn", "in_proj_weight"}  # query, key, value in a row
INTERLEAVED_ATTENTION = {"query_key_value"}  # query, key, value of one head (or group of heads), then of the next
BLOCKS_OF_ATTENTION = {"codegen": 4}  # model types that put heads into so many blocks, each with its query, key, value
FUSED_GATES = {"gate_up_proj", "Wi"}
MAX_RAW_CHANNELS = 4  # a convolution over so few channels reads pixels or a waveform, and not activations


class Layout(TypedDict):
    """How a parameter is cut into matrices `[outputs, inputs]`; plain values, since it is saved in a state dict.

    shape: The parameter, viewed as `[stack, rows, columns]`.
    transposed: Whether the columns are the outputs.
    groups: How many times all of `parts` follow one another along the outputs.
    parts: Outputs of each matrix within a group; a matrix collects its part of every group.
    """

    shape: list[int]
    transposed: bool
    groups: int
    parts: list[int]


def matrix_layouts(model: nn.Module) -> dict[nn.Parameter, Layout]:
    """Find the trainable parameters that are hidden linear maps, in the order of the module tree.

    Not among them: embeddings and output heads (one row per token or label), what reads raw pixels or samples,
    depthwise and grouped convolutions, networks that compute filters from positions, vectors, and whatever else is no
    linear map (tables of positions, Mamba's `A_log`).

    Among them: the router of a mixture, as in Moonlight's Muon (https://arxiv.org/abs/2502.16982), although it has one
    row per expert. Maps that a model fuses in a way of its own stay whole: `in_proj` of Mamba and LFM2, `in_proj_qkvz`
    of linear attention, `att_proj` of Bark.

    Args:
        model: The whole model, wrapped or not.
    """
    others = embedding_parameters(model) | filter_parameters(model)
    layouts: dict[nn.Parameter, Layout] = {}
    for place in _walk(_Place(model)):
        for name, param in place.module.named_parameters(recurse=False):
            if param.requires_grad and param not in others and not place.is_label_head():
                layout = _layout(place, name, list(full_shape(param)))
                if layout is not None and min(layout["shape"][1:]) > 1:
                    layouts[param] = layout
    return layouts


def whole_matrix(shape: Sequence[int], *, transposed: bool = False) -> Layout:
    """Return the layout of a matrix `[rows, columns]`, or of a stack of them, that is not cut any further."""
    *stack, rows, columns = shape
    outputs = columns if transposed else rows
    return {"shape": [math.prod(stack), rows, columns], "transposed": transposed, "groups": 1, "parts": [outputs]}


def split(tensor: Tensor, layout: Layout) -> list[Tensor]:
    """Cut a tensor of the parameter's shape into stacks of matrices: views where its memory allows.

    Returns:
        One stack for each part. Each `[stack, groups * part, inputs]`.
    """
    stack = tensor.reshape(layout["shape"])
    stack = stack.mT if layout["transposed"] else stack
    if len(layout["parts"]) == 1:
        return [stack]
    grouped = stack.unflatten(1, (layout["groups"], -1))
    return [part.flatten(1, 2) for part in grouped.split(layout["parts"], dim=2)]


def join(stacks: list[Tensor], layout: Layout, shape: torch.Size) -> Tensor:
    """Put the stacks that `split` cut together again, in the parameter's own `shape`."""
    whole = stacks[0]
    if len(stacks) > 1:
        whole = torch.cat([part.unflatten(1, (layout["groups"], -1)) for part in stacks], dim=2).flatten(1, 2)
    return (whole.mT if layout["transposed"] else whole).reshape(shape)


@dataclass(frozen=True)
class _Place:
    """A module and where in the model it stands."""

    module: nn.Module
    name: str = ""
    parent: nn.Module | None = None
    config: Any = None  # of the part of the model that it belongs to
    in_blocks: bool = False  # within one of the layers that a model repeats

    def is_label_head(self) -> bool:
        labels = getattr(self.config, "num_labels", None)
        return not self.in_blocks and isinstance(self.module, nn.Linear) and self.module.out_features == labels


def _walk(place: _Place) -> Iterator[_Place]:
    module = place.module
    place = replace(place, config=getattr(module, "config", place.config))
    yield place
    in_blocks = place.in_blocks or isinstance(module, nn.ModuleList)
    for name, child in module.named_children():
        yield from _walk(_Place(child, name, module, place.config, in_blocks))


def _layout(place: _Place, param_name: str, shape: list[int]) -> Layout | None:
    """Return the layout of one parameter, or None if it is no hidden linear map."""
    module = place.module
    name = place.name if param_name == "weight" else param_name
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        if param_name != "weight" or module.groups > 1 or module.in_channels <= MAX_RAW_CHANNELS:
            return None
        return whole_matrix([shape[0], math.prod(shape[1:])])
    if isinstance(module, nn.RNNBase):
        return _gates(module, shape) if len(shape) == 2 else None
    if len(shape) == 3 and getattr(module, "num_experts", None) == shape[0]:
        return _experts(module, name, shape)
    if len(shape) != 2 or param_name not in ("weight", "in_proj_weight"):
        return None
    layout = whole_matrix(shape, transposed=isinstance(module, Conv1D))
    if name in FUSED_ATTENTION | INTERLEAVED_ATTENTION:
        return _fused_attention(place, name, layout)
    return _halved(layout) if name in FUSED_GATES else layout


def _halved(layout: Layout) -> Layout:
    (outputs,) = layout["parts"]
    return {**layout, "parts": [outputs // 2] * 2}


def _gates(module: nn.RNNBase, shape: list[int]) -> Layout:
    """Cut the gates of a recurrence apart, which torch stores one below the other."""
    layout = whole_matrix(shape)
    if shape[0] % module.hidden_size:  # a projection of what is put out
        return layout
    return {**layout, "parts": [module.hidden_size] * (shape[0] // module.hidden_size)}


def _experts(module: nn.Module, name: str, shape: list[int]) -> Layout:
    """Return the layout of `[experts, a, b]`; experts store `[outputs, inputs]` or its transpose, by model."""
    gates = getattr(module, "gate_up_proj", None)
    down = getattr(module, "down_proj", None)
    gated = isinstance(gates, nn.Parameter) and isinstance(down, nn.Parameter)
    transposed = gated and full_shape(gates)[1] != 2 * full_shape(down)[2]
    layout = whole_matrix(shape, transposed=transposed)
    if name not in FUSED_GATES:
        return layout
    if getattr(module, "is_concatenated", True):
        return _halved(layout)
    return {**layout, "groups": layout["parts"][0] // 2, "parts": [1, 1]}  # GPT-OSS alternates gate and up


def _fused_attention(place: _Place, name: str, layout: Layout) -> Layout:
    """Cut query, key and value apart, with as many heads for each as the model has.

    The output projection beside them reads as many activations as there are queries; keys and values share the rest.
    """
    attention = place.module if name == "in_proj_weight" else place.parent
    if attention is None or getattr(attention, "is_cross_attention", False):  # GPT-2's has key and value alone
        return _halved(layout)
    (outputs,) = layout["parts"]
    others = [child for child in attention.children() if child is not place.module]
    readers = [_num_inputs(child) for child in others if isinstance(child, nn.Linear | Conv1D)]
    queries = readers[-1] if readers else outputs // 3
    keys = (outputs - queries) // 2
    groups = BLOCKS_OF_ATTENTION.get(getattr(place.config, "model_type", ""), 1)
    if name in INTERLEAVED_ATTENTION:
        groups = keys * place.config.num_attention_heads // queries
    return {**layout, "groups": groups, "parts": [rows // groups for rows in (queries, keys, keys)]}


def _num_inputs(linear: nn.Module) -> int:
    rows, columns = full_shape(linear.weight)
    return rows if isinstance(linear, Conv1D) else columns
