"""What a user may set on an optimizer, checked without torch: a command line asks before it is imported."""

import importlib.util
from collections.abc import Mapping
from typing import Any

from hf_strategies.errors import MissingPackageError, UserError, did_you_mean
from hf_strategies.optimizers.shelf import OPTIMIZERS
from hf_strategies.ranges import (
    AT_LEAST_ONE,
    AVERAGE,
    COUNT,
    LEARNING_RATE,
    NOT_NEGATIVE,
    SWITCH,
    Rule,
    is_number,
    one_of,
    or_none,
)


def _are_betas(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(AVERAGE[0], value))


BETAS: Rule = (_are_betas, "two numbers in [0, 1) such as [0.9, 0.95]")

# A name means the same in every optimizer, so each has one range.
RANGES: dict[str, Rule] = {
    "lr": LEARNING_RATE,
    "weight_decay": NOT_NEGATIVE,
    "betas": BETAS,
    "eps": NOT_NEGATIVE,
    "momentum": AVERAGE,
    "decay": one_of(("tied", "independent")),
    "scaling": one_of(("rms", "spectral")),
    "adamw_lr": or_none(LEARNING_RATE, " for lr's"),
    "adamw_betas": BETAS,
    "nesterov": SWITCH,
    "beta2_decay": (lambda value: is_number(value) and -1 <= value < 0, "a number in [-1, 0)"),
    "clip_threshold": AT_LEAST_ONE,
    "precondition_frequency": COUNT,
    "slow_beta": AVERAGE,
    "slow_weight": NOT_NEGATIVE,
    "slow_rise_steps": or_none(COUNT),
}

OWN_RANGES: dict[tuple[str, str], Rule] = {
    ("schedule_free_adamw", "betas"): (
        lambda value: _are_betas(value) and value[0] > 0,  # it divides by the first
        "two numbers in [0, 1) such as [0.9, 0.99], the first above 0",
    )
}

# What every optimizer is given, and the setting that it comes from.
GIVEN = {"name": "optimizer", "lr": "learning_rate", "weight_decay": "weight_decay", "param_groups": "param_groups"}


def check_ranges(owner: str = "", /, **hyper: Any) -> None:
    """Refuse values that no optimizer can use.

    Args:
        owner: Of whose own ranges, by its name on the shelf.
        hyper: The values.

    Raises:
        UserError: A value lies outside the range of its name, or without what it belongs to.
    """
    for name, value in hyper.items():
        holds, expected = OWN_RANGES.get((owner, name), RANGES[name])
        if not holds(value):
            raise UserError(f"{name} must be {expected}, got {value!r}")
    if hyper.get("nesterov") and hyper.get("momentum") == 0:
        raise UserError("nesterov looks ahead along the momentum: momentum must be above 0, got 0")


def check_optimizer_settings(name: str, hyper: Mapping[str, Any]) -> None:
    """Refuse what the optimizer called `name` could not be built with.

    Args:
        name: Name on the shelf.
        hyper: Its settings besides `lr` and `weight_decay`.

    Raises:
        UserError: The name or a setting is unknown, a value is out of range, or a package is not installed.
    """
    facts = OPTIMIZERS[name].facts
    if "package" in facts and importlib.util.find_spec(facts["package"]) is None:
        raise MissingPackageError(facts["package"], facts["extra"], f"optimizer {name!r}")
    for key in hyper:
        if key in GIVEN:
            raise UserError(f"optimizer {name!r} has no setting {key!r} of its own: set the run's {GIVEN[key]}")
    known = facts["hyperparameters"]
    if known is None:
        return  # its class says, when it is built
    for key in hyper:
        if key not in known:
            guess = did_you_mean(key, known)
            raise UserError(f"optimizer {name!r} has no setting {key!r}{guess} (known: {', '.join(known)})")
    check_ranges(name, **hyper)
