"""The top of a pretrained model, drawn anew."""

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_strategies.errors import UserError
from hf_strategies.module_tree.blocks import find_blocks
from hf_strategies.module_tree.embeddings import embedding_parameters
from hf_strategies.module_tree.heads import head_names
from hf_strategies.module_tree.layer_depth import layer_depths


@torch.no_grad()
def reinitialize_top_blocks(model: PreTrainedModel, num_blocks: int) -> list[str]:
    """Initialise the last `num_blocks` blocks again, and what the body has above them (a pooler, the last norm).

    Revisiting Few-sample BERT Fine-tuning (https://arxiv.org/abs/2006.05987, section 5): the top layers are the most
    specialised to pretraining, and a worse start than none on a small data set. The weights are drawn as the model
    itself draws them, from torch's global stream. Heads and embeddings stay.

    Args:
        model: A model of the host's, without an adapter.
        num_blocks: At least 1; of an encoder-decoder, blocks of the decoder come first.

    Returns:
        The names of the modules that were drawn anew.

    Raises:
        UserError: There are not so many blocks, the model has an adapter, or its weights are quantized.
    """
    needed_by, instead = "reinitialize_top_blocks", "leave it out"
    if not isinstance(model, PreTrainedModel):
        raise UserError(f"{needed_by} needs a bare model, got {type(model).__name__}: do it before adding an adapter")
    blocks = find_blocks(model, needed_by=needed_by, instead=instead)
    if not 1 <= num_blocks <= len(blocks):
        raise UserError(
            f"{needed_by} must be a whole number in [1, {len(blocks)}], the blocks of {type(model).__name__}, got "
            f"{num_blocks}"
        )
    depths, output = layer_depths(model, needed_by=needed_by, instead=instead)
    drawn = [part for block in blocks[-num_blocks:] for part in block]
    tables = embedding_parameters(model)
    above = [part for part in _outermost(model.base_model, depths, output) if not tables & set(part.parameters())]
    drawn += [part for part in above if part not in drawn]
    if not all(param.is_floating_point() for part in drawn for param in part.parameters()):
        raise UserError(f"{needed_by} cannot draw quantized weights: load the model as it was saved")
    for part in drawn:
        _draw(_owner(model, part), part)
    names = {module: name for name, module in model.named_modules()}
    return [names[part] for part in drawn]


@torch.no_grad()
def reinitialize_head(model: PreTrainedModel) -> list[str]:
    """Initialise again what a task has added on top of a pretrained body: it was trained for other classes.

    Args:
        model: A model of the host's, without an adapter.

    Returns:
        The names of the modules that were drawn anew.
    """
    names = head_names(model)
    for name in names:
        _draw(model, model.get_submodule(name))
    return names


def _outermost(module: nn.Module, depths: dict[nn.Parameter, int], depth: int) -> list[nn.Module]:
    """Return the largest modules all of whose parameters stand at one depth."""
    found = []
    for child in module.children():
        reached = {depths[param] for param in child.parameters()}
        if reached == {depth}:
            found.append(child)
        elif depth in reached:
            found += _outermost(child, depths, depth)
    return found


def _owner(model: PreTrainedModel, part: nn.Module) -> PreTrainedModel:
    """Return the innermost model that holds a part: one made of several draws each as that model does."""
    models = [module for module in model.modules() if isinstance(module, PreTrainedModel)]
    return [module for module in models if part in module.modules()][-1]


def _draw(owner: PreTrainedModel, part: nn.Module) -> None:
    for module in part.modules():
        for tensor in (module, *module.parameters(recurse=False), *module.buffers(recurse=False)):
            tensor._is_hf_initialized = False  # loading has marked it, and what is marked is not drawn again
    part.apply(owner._init_weights)
