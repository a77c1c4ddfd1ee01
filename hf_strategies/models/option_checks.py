"""Whether an architecture can be what its user asked for, found without torch."""

from collections.abc import Mapping
from typing import Any

from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.models.options import Option
from hf_strategies.models.shelf import ARCHITECTURES


def resolve_options(architecture: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the options of an architecture.

    Args:
        architecture: A name on the shelf.
        given: What somebody asked for.

    Returns:
        Every option that the architecture has.

    Raises:
        UserError: It has no such option, the option cannot be that, or not beside the others.
    """
    facts = ARCHITECTURES[architecture].facts
    known: Mapping[str, Option] = facts.get("options", {})
    for name, value in given.items():
        if name not in known:
            listed = ", ".join(known) or "none"
            raise UserError(
                f"architecture {architecture!r} has no option {name!r}{did_you_mean(name, known)} (known: {listed})"
            )
        holds, expected = known[name].rule
        if not holds(value):
            raise UserError(f"{name} of architecture {architecture!r} must be {expected}, got {value!r}")
    options = {**{name: option.default for name, option in known.items()}, **given}
    if "check_options" in facts:
        facts["check_options"](options)
    return options
