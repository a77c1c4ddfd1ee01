"""Which modules an adapter adapts: found from the architecture, or by what a user wrote."""

import re
from collections.abc import Iterable, Sequence

from transformers import PreTrainedModel

from hf_strategies.adapters.linear_layers import LINEAR, linear_layers
from hf_strategies.errors import UserError
from hf_strategies.module_tree.names import nearest_names

ALL_LINEAR, ATTENTION = "all-linear", "attention"


def find_targets(model: PreTrainedModel, wanted: str | Sequence[str] | None, *, excluded: Sequence[str]) -> list[str]:
    """Name the linear layers to adapt.

    Args:
        model: The model, without an adapter yet.
        wanted: "all-linear" (or None) for every linear layer of the blocks, "attention" for those of attention, or
            regular expressions that each match the end of a layer's name, from a dot on, as "q_proj" does.
        excluded: Modules that are trained whole, and cannot be adapted.

    Raises:
        UserError: There is nothing of the kind in the model, or an expression is none or matches nothing.
    """
    if wanted in (None, ALL_LINEAR, ATTENTION):
        layers = linear_layers(model)
        found = layers.attention if wanted == ATTENTION else layers.all
        if not found:
            raise UserError(
                f"target_modules {wanted or ALL_LINEAR!r} finds no such layer in {type(model).__name__}: name some, "
                f"such as {', '.join(_examples(model))}"
            )
        return [name for name in found if not _is_within(name, excluded)]
    named = [
        name for name, module in model.named_modules() if isinstance(module, LINEAR) and not _is_within(name, excluded)
    ]
    patterns = [wanted] if isinstance(wanted, str) else list(wanted or ())
    matched = {name for pattern in patterns for name in match_ends(pattern, named)}
    return [name for name in named if name in matched]


def match_ends(pattern: str, names: Sequence[str]) -> list[str]:
    """Return the names that a regular expression matches from a dot (or their start) to their end.

    Raises:
        UserError: It is no regular expression, or matches none of them; the nearest are named.
    """
    try:
        expression = re.compile(rf"(?:.*\.)?(?:{pattern})")
    except re.error as error:
        raise UserError(f"target_modules: {pattern!r} is no regular expression: {error}") from error
    found = [name for name in names if expression.fullmatch(name)]
    if not found:
        near = ", ".join(nearest_names(pattern, names))
        raise UserError(f"target_modules: {pattern!r} matches no linear layer; the nearest are {near}")
    return found


def shortest_ends(wanted: Sequence[str], others: Iterable[str]) -> list[str]:
    """Return ends of names, from a dot on, which are those of all that is wanted and of nothing else.

    This is how a config of peft names modules; the ends of a deep model are few.

    Args:
        wanted: Full names.
        others: The full names of whatever else there is.
    """
    taken = {end for name in others for end in _ends(name)}
    return sorted({next((end for end in _ends(name) if end not in taken), name) for name in wanted})


def _ends(name: str) -> list[str]:
    """Return the ends of a dotted name, the shortest first, the whole last."""
    parts = name.split(".")
    return [".".join(parts[-length:]) for length in range(1, len(parts) + 1)]


def _is_within(name: str, modules: Sequence[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _examples(model: PreTrainedModel) -> list[str]:
    kinds = dict.fromkeys(name.split(".")[-1] for name, module in model.named_modules() if isinstance(module, LINEAR))
    return list(kinds)[:3]
