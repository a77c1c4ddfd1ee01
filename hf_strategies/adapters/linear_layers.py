"""The linear layers of a model, and what each is for, found from the module tree."""

from dataclasses import dataclass, field
from typing import Any

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from hf_strategies.module_tree.blocks import find_blocks

LINEAR = (nn.Linear, Conv1D)  # GPT-2's is a linear layer by another name; quantized ones are kinds of nn.Linear
STATE_SPACE = "A_log"  # what a state-space mixer (Mamba's) holds, and nothing else does


@dataclass
class LinearLayers:
    """Names of the linear layers within a model's blocks, in its order.

    Args:
        all: Every one that can be adapted.
        attention: Those of attention.
        into_attention: Of these, all but the last of each attention, which leads out of it.
        feed_forward_end: The last one of each block outside attention: its input is the inner activation.
    """

    all: list[str] = field(default_factory=list)
    attention: list[str] = field(default_factory=list)
    into_attention: list[str] = field(default_factory=list)
    feed_forward_end: list[str] = field(default_factory=list)


def linear_layers(model: PreTrainedModel) -> LinearLayers:
    """Find the linear layers of a model's blocks; embeddings, poolers and heads stand outside of them.

    Of a state-space mixer only what reads its input is found: fused kernels take the weights of the others past their
    modules, and past what adapts them. Experts that are stacked in one tensor are no layers of this kind.

    Raises:
        UserError: The model has no blocks.
    """
    names = {module: name for name, module in model.named_modules()}
    found = LinearLayers()
    for block in find_blocks(model, needed_by="an adapter", instead="name target_modules"):
        attentions = [layers for part in block for layers in _attentions(part, is_spread=len(block) > 1)]
        layers = [names[layer] for part in block for layer in _layers(part)]
        inside = [[names[layer] for layer in attention] for attention in attentions]
        found.all += layers
        found.attention += [name for attention in inside for name in attention]
        found.into_attention += [name for attention in inside for name in attention[:-1]]
        found.feed_forward_end += [name for name in layers if not any(name in attention for attention in inside)][-1:]
    return found


def layers_outside_blocks(model: PreTrainedModel) -> list[str]:
    """Name the linear layers outside of the blocks (poolers, heads): what stays in full precision in a quantized base.

    Raises:
        UserError: The model has no blocks.
    """
    blocks = find_blocks(model, needed_by="quantization", instead="leave it out")
    inside = {module for block in blocks for part in block for module in part.modules()}
    return [name for name, module in model.named_modules() if isinstance(module, LINEAR) and module not in inside]


def _layers(module: nn.Module) -> list[nn.Module]:
    """Return the linear layers of a module that can be adapted, in its order."""
    if isinstance(module, LINEAR):
        return [module]
    layers = [layer for child in module.children() for layer in _layers(child)]
    if hasattr(module, STATE_SPACE):
        return [layer for layer in layers if _inputs(layer) == _inputs(layers[0])]
    return layers


def _inputs(layer: Any) -> int:
    return layer.nx if isinstance(layer, Conv1D) else layer.in_features


def _attentions(part: nn.Module, *, is_spread: bool) -> list[list[nn.Module]]:
    """Return the layers of each attention in a part of a block.

    Every architecture calls it so. A whole block that is called after its attention is more than that; a part of one
    that is spread over several lists is not.
    """
    name = type(part).__name__.lower()
    if is_spread and ("attention" in name or "attn" in name):
        return [_layers(part)]
    return [layers for child in part.children() for layers in _attentions(child, is_spread=True)]
