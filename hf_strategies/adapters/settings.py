"""What a user may say of adapters and bases, checked without torch: a command line asks before it is imported."""

import importlib.util
from collections.abc import Mapping
from typing import Any

from hf_strategies.adapters.shelf import ADAPTERS, QUANTIZATIONS
from hf_strategies.errors import MissingPackageError, UserError, did_you_mean
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


def check_quantization(name: str) -> None:
    """Refuse a quantization that cannot be had here.

    Raises:
        UserError: The name is unknown, or its package is not installed.
    """
    facts = QUANTIZATIONS[name].facts
    if importlib.util.find_spec(facts["package"]) is None:
        raise MissingPackageError(facts["package"], facts["extra"], f"quantization {name!r}")
