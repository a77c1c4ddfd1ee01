"""What a user may set on an optimizer, checked without torch: a command line asks before it is imported."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.optimizers.shelf import OPTIMIZERS


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and 0.0 <= value < math.inf


def _is_average(value: Any) -> bool:
    return isinstance(value, int | float) and 0.0 <= value < 1.0


def _are_betas(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_average, value))


Rule = tuple[Callable[[Any], bool], str]
RATE: Rule = (_is_rate, "a finite number >= 0")
BETAS: Rule = (_are_betas, "two numbers in [0, 1)")

# A name means the same in every optimizer, so each has one range.
RANGES: dict[str, Rule] = {
    "lr": RATE,
    "weight_decay": RATE,
    "betas": BETAS,
    "eps": RATE,
    "momentum": (_is_average, "a number in [0, 1)"),
    "scaling": (lambda value: value in ("rms", "spectral"), "'rms' or 'spectral'"),
    "adamw_lr": (lambda value: value is None or _is_rate(value), "a finite number >= 0, or none for lr's"),
    "adamw_betas": BETAS,
}


def check_ranges(**hyper: Any) -> None:
    """Refuse values that no optimizer can use.

    Raises:
        UserError: A value lies outside the range of its name.
    """
    for name, value in hyper.items():
        holds, expected = RANGES[name]
        if not holds(value):
            raise UserError(f"{name} must be {expected}, got {value!r}")


def check_optimizer_settings(name: str, hyper: Mapping[str, Any]) -> None:
    """Refuse what the optimizer called `name` could not be built with.

    Args:
        name: Name on the shelf.
        hyper: Its settings besides `lr` and `weight_decay`.

    Raises:
        UserError: The name or a setting is unknown, or a value is out of range.
    """
    known = OPTIMIZERS[name].facts["hyperparameters"]
    for key in hyper:
        if key not in known:
            guess = did_you_mean(key, known)
            raise UserError(f"optimizer {name!r} has no setting {key!r}{guess} (known: {', '.join(known)})")
    check_ranges(**hyper)
