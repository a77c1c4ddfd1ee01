"""Which rule holds for which parameter, by the names of the model itself."""

import difflib
import re
from collections.abc import Mapping, Sequence

from torch import nn

from hf_strategies.errors import UserError
from hf_strategies.optimizers.group_spec import GroupRule

# What DDP, torch.compile, FSDP, activation checkpointing and PEFT put around a model, as it appears in names.
WRAPPERS = re.compile(
    r"^(module\.|_orig_mod\.|_fsdp_wrapped_module\.|base_model\.model\.)+"
    r"|(?<=\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)


def named_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return every parameter by its name in the bare model, as if nothing were wrapped; tied weights once."""
    return {WRAPPERS.sub("", name): param for name, param in model.named_parameters()}


def match_rules(rules: Sequence[GroupRule], params: Mapping[str, nn.Parameter]) -> dict[str, GroupRule]:
    """Return the rule of each trainable parameter that has one.

    Raises:
        UserError: A pattern finds nothing, or only frozen weights, or what another rule has found.
    """
    owners: dict[str, GroupRule] = {}
    for rule in rules:
        found = [name for name in params if re.search(rule.pattern, name)]
        trainable = [name for name in found if params[name].requires_grad]
        if not found:
            near = ", ".join(_nearest(rule.pattern, list(params)))
            raise UserError(f"param_groups rule {rule.pattern!r} matches no parameter; the nearest are {near}")
        if not trainable:
            raise UserError(f"param_groups rule {rule.pattern!r} matches only frozen weights, such as {found[0]}")
        for name in trainable:
            if name in owners:
                raise UserError(
                    f"param_groups rules {owners[name].pattern!r} and {rule.pattern!r} both match {name}; "
                    "a parameter takes one rule"
                )
            owners[name] = rule
    return owners


def _nearest(pattern: str, names: Sequence[str]) -> list[str]:
    """Return three names that a pattern may have been meant for, of names that differ only in numbers the first."""
    kinds: dict[str, str] = {}
    for name in names:
        kinds.setdefault(re.sub(r"\d+", "", name), name)

    def likeness(name: str) -> float:
        return max(difflib.SequenceMatcher(None, pattern, part).ratio() for part in (name, *name.split(".")))

    return sorted(kinds.values(), key=likeness, reverse=True)[:3]
