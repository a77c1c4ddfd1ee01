"""What a user may say of an average, checked without torch: a command line asks before it is imported."""

from collections.abc import Mapping
from typing import Any

from hf_strategies.callbacks.shelf import AVERAGES
from hf_strategies.errors import UserError, did_you_mean


def check_average_settings(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse what the average called `name` could not be built with.

    Raises:
        UserError: The name or a setting is unknown, or a value is out of range.
    """
    ranges = AVERAGES[name].facts["hyperparameters"]
    for key, value in settings.items():
        if key not in ranges:
            known = ", ".join(ranges)
            raise UserError(f"average {name!r} has no setting {key!r}{did_you_mean(key, ranges)} (known: {known})")
        holds, expected = ranges[key]
        if not holds(value):
            raise UserError(f"{key} of average {name!r} must be {expected}, got {value!r}")
