"""The layers that a model repeats, found from the module tree."""

import math
from collections.abc import Iterator
from typing import TypeGuard

from torch import nn

from hf_strategies.distributed.zero import full_shape
from hf_strategies.errors import UserError
from hf_strategies.module_tree.embeddings import input_embeddings

Block = tuple[nn.Module, ...]


def find_blocks(model: nn.Module, *, needed_by: str, instead: str) -> list[Block]:
    """Find the blocks of a model, from its input to its output.

    A stack of blocks is an outermost `nn.ModuleList`. Several stacks follow one another in the order they are
    registered: an encoder, then its decoder.

    Args:
        model: The whole model, wrapped or not.
        needed_by: The setting that asks, for the message where there is none.
        instead: What its user may do then.

    Returns:
        For each block the modules that make it up: one, or several where they are spread over lists side by side.

    Raises:
        UserError: There is no stack.
    """
    blocks = list(_blocks(model, input_embeddings(model)))
    if not blocks:
        raise UserError(
            f"{needed_by} finds no layers in {type(model).__name__}: no nn.ModuleList holds any; {instead}"
        )
    return blocks


def _blocks(model: nn.Module, embeddings: set[nn.Parameter]) -> Iterator[Block]:
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
