"""What a user may set on an objective, checked without torch: a command line asks before it is imported."""

from collections.abc import Mapping
from typing import Any

from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.objectives.shelf import OBJECTIVES
from hf_strategies.ranges import AVERAGE, NOT_NEGATIVE, POSITIVE, Rule


def _are_weights(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(map(NOT_NEGATIVE[0], value)) and any(value)


WEIGHTS: Rule = (_are_weights, "a list of finite numbers >= 0, one per class and not all 0")

RANGES: dict[str, Rule] = {
    "label_smoothing": AVERAGE,
    "class_weights": WEIGHTS,
    "gamma": NOT_NEGATIVE,
    "positive_weights": WEIGHTS,
    "delta": POSITIVE,
}


def check_objective_settings(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse what the objective called `name` could not be built with.

    Args:
        name: Name on the shelf.
        settings: By name.

    Raises:
        UserError: The name or a setting is unknown, or a value is out of range.
    """
    known = OBJECTIVES[name].facts["hyperparameters"]
    for key, value in settings.items():
        if key not in known:
            guess = did_you_mean(key, known)
            listed = ", ".join(known) or "none"
            raise UserError(f"objective {name!r} has no setting {key!r}{guess} (known: {listed})")
        holds, expected = RANGES[key]
        if not holds(value):
            raise UserError(f"{key} of objective {name!r} must be {expected}, got {value!r}")
