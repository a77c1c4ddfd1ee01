"""What a user may set on an adapter, checked without torch: a command line asks before it is imported."""

from collections.abc import Mapping
from typing import Any

from hf_strategies.adapters.shelf import ADAPTERS
from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.ranges import AVERAGE, COUNT, NOT_NEGATIVE, POSITIVE, Rule

# A name means the same in every adapter, so each has one range.
RANGES: dict[str, Rule] = {
    "rank": COUNT,
    "target_rank": COUNT,
    "initial_rank": COUNT,
    "alpha": POSITIVE,
    "dropout": AVERAGE,
    "orthogonality": NOT_NEGATIVE,
    "num_virtual_tokens": COUNT,
}


def check_adapter_settings(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse what the adapter called `name` could not be built with.

    Raises:
        UserError: The name or a setting is unknown, or a value is out of range.
    """
    known = ADAPTERS[name].facts["hyperparameters"]
    for key, value in settings.items():
        if key not in known:
            listed = ", ".join(known) or "none"
            raise UserError(f"adapter {name!r} has no setting {key!r}{did_you_mean(key, known)} (known: {listed})")
        holds, expected = RANGES[key]
        if not holds(value):
            raise UserError(f"{key} of adapter {name!r} must be {expected}, got {value!r}")
