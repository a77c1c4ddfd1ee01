"""Which of a model's own weights are trained."""

import re
from collections.abc import Sequence

from torch import nn
from transformers import PreTrainedModel

from hf_strategies.errors import UserError
from hf_strategies.module_tree.heads import head_names
from hf_strategies.module_tree.names import named_parameters, nearest_names


def freeze(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Freeze every parameter whose name in the bare model one of the regular expressions finds.

    Returns:
        The names of what they found.

    Raises:
        UserError: An expression is none, or finds nothing (the nearest names are told), or nothing is left to train.
    """
    params = named_parameters(model)
    frozen: dict[str, nn.Parameter] = {}
    for pattern in patterns:
        try:
            found = {name: param for name, param in params.items() if re.search(pattern, name)}
        except re.error as error:
            raise UserError(f"freeze: {pattern!r} is no regular expression: {error}") from error
        if not found:
            near = ", ".join(nearest_names(pattern, params))
            raise UserError(f"freeze: {pattern!r} matches no parameter; the nearest are {near}")
        frozen |= found
    if not any(param.requires_grad for name, param in params.items() if name not in frozen):
        raise UserError(f"freeze: {', '.join(patterns)} leave nothing of {type(model).__name__} to train")
    for param in frozen.values():
        param.requires_grad_(False)
    return list(frozen)


def linear_probe(model: PreTrainedModel, new_weights: Sequence[str] = ()) -> list[str]:
    """Freeze all of a model but its head, and what no checkpoint gave: a random pooler is no probe.

    Args:
        model: A model of the host's.
        new_weights: Names of parameters that were initialised anew, such as `missing_keys` of the loading.

    Returns:
        The names of the parameters that train.

    Raises:
        UserError: It has none: it predicts tokens with what was pretrained.
    """
    heads = head_names(model)
    if not heads:
        raise UserError(f"a linear probe trains the head that a task adds, and {type(model).__name__} has none")
    for name, param in model.named_parameters():
        param.requires_grad_(name in new_weights or name.startswith(tuple(f"{head}." for head in heads)))
    return [name for name, param in model.named_parameters() if param.requires_grad]
