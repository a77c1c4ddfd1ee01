"""How deep in a model each parameter stands, found from the module tree."""

import math
from collections.abc import Iterator
from typing import TypeGuard

from torch import nn

from hf_strategies.distributed.zero import full_shape
from hf_strategies.errors import UserError
from hf_strategies.optimizers.embeddings import input_embeddings


def layer_depths(model: nn.Module) -> tuple[dict[nn.Parameter, int], int]:
    """Number a model's parameters from its input to its output.

    A stack of blocks is an outermost `nn.ModuleList`. Embeddings (also those that a head shares) and what is
    registered before the first block have depth 0, block `i` has `i + 1`, what comes after the last one has one more
    than that. Several stacks count on, in the order they are registered: an encoder, then its decoder. What stands
    between two blocks belongs to the one before it.

    Args:
        model: The whole model, wrapped or not.

    Returns:
        The depth of every parameter, and the depth of the output: blocks + 1.

    Raises:
        UserError: There is no stack.
    """
    embeddings = input_embeddings(model)
    blocks = list(_blocks(model, embeddings))
    if not blocks:
        raise UserError(
            f"layerwise_lr_decay finds no layers in {type(model).__name__}: no nn.ModuleList holds any; give "
            "rates by rules instead"
        )
    depths: dict[nn.Parameter, int] = {}
    for depth, block in enumerate(blocks, start=1):
        for module in block:
            for param in module.parameters():
                depths.setdefault(param, depth)
    in_blocks, reached, top = set(depths), 0, len(blocks) + 1
    for param in model.parameters():
        if param in in_blocks:
            reached = max(reached, depths[param])
        else:
            place = top if reached == len(blocks) else reached
            depths[param] = 0 if param in embeddings else place
    return depths, top


def _blocks(model: nn.Module, embeddings: set[nn.Parameter]) -> Iterator[tuple[nn.Module, ...]]:
    """Yield the modules that make up each block."""
    for stack in _stacks(model, embeddings):
        stages = [layers for layers in map(_layers_of, stack[0]) if layers is not None]
        hierarchical = len(stack) == 1 and len(stages) == len(stack[0])
        if hierarchical and len({_size(layers[0]) for layers in stages}) > 1:  # a stage is wider than the one before
            yield from ((layer,) for layers in stages for layer in layers)
        else:
            yield from zip(*stack)


def _stacks(module: nn.Module, embeddings: set[nn.Parameter]) -> list[list[nn.ModuleList]]:
    """Find the outermost lists of layers; lists of one length in one module run side by side (as XLM's do)."""
    found: list[list[nn.ModuleList]] = []
    beside: dict[int, list[nn.ModuleList]] = {}
    for child in module.children():
        if not _is_stack(child, embeddings):
            found += _stacks(child, embeddings)
        elif len(child) in beside:
            beside[len(child)].append(child)
        else:
            beside[len(child)] = [child]
            found.append(beside[len(child)])
    return found


def _is_stack(module: nn.Module, embeddings: set[nn.Parameter]) -> TypeGuard[nn.ModuleList]:
    if not isinstance(module, nn.ModuleList):
        return False
    return any(param not in embeddings for param in module.parameters())


def _layers_of(stage: nn.Module) -> nn.ModuleList | None:
    """Return the layers of one stage of a hierarchical model: the one list in it whose members are all of a kind."""
    lists = [part for part in (stage, *stage.children()) if isinstance(part, nn.ModuleList)]
    alike = [layers for layers in lists if len({type(layer) for layer in layers}) == 1]
    return alike[0] if len(alike) == 1 else None


def _size(module: nn.Module) -> int:
    return sum(math.prod(full_shape(param)) for param in module.parameters())
