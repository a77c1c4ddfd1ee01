"""Which rule holds for which parameter, by the names of the model itself."""

import re
from collections.abc import Mapping, Sequence

from torch import nn

from hf_strategies.errors import UserError
from hf_strategies.module_tree.names import nearest_names
from hf_strategies.optimizers.group_spec import GroupRule


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
            near = ", ".join(nearest_names(rule.pattern, params))
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
