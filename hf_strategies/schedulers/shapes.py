"""What may be said about a curve besides its name: each argument means the same in every curve, and has one range."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.ranges import (
    NOT_NEGATIVE,
    POSITIVE_RATIO,
    RATIO,
    Rule,
    is_number,
    is_whole,
    one_of,
    up_to,
)
from hf_strategies.registry import Entry
from hf_strategies.schedulers.curves import DECAY_SHAPES
from hf_strategies.schedulers.rises import WARMUP_SHAPES

# Lengths, which may be written in any unit: parts of the run, which must fit in it together, and units of a curve,
# which may be longer than the run. Milestones are a list of lengths, each counted from the start.
PHASES = ("num_rise_steps", "num_plateau_steps", "num_decay_steps")
PERIODS = ("num_period_steps", "num_timescale_steps", "step_size")
LENGTH = 'updates, a share of the run in (0, 1), "2M tokens" or "3 epochs"'
# What a builder takes that is no shape, and what to do in a training instead.
NOT_SHAPES = {"num_training_steps": "set max_steps", "num_warmup_steps": "set warmup_steps"}
# What a warmup takes, beside any curve that can have one.
WARMUP = {"warmup_shape": "linear", "warmup_start": 0.0}

# What lies beyond was meant for something else, and overflows somewhere.
MAX_CYCLES = 100

RANGES: dict[str, Rule] = {
    "min_lr_ratio": RATIO,
    "start_ratio": RATIO,
    "final_ratio": RATIO,
    "restart_decay": RATIO,
    "gamma": POSITIVE_RATIO,
    "power": up_to(100),
    "exponent": up_to(10),
    "decay_power": up_to(100),
    "num_cycles": up_to(MAX_CYCLES),
    "cycle_growth": (lambda value: is_number(value) and 0.1 <= value <= 10, "a number in [0.1, 10]"),
    "ratio": (lambda value: is_number(value) and 1 <= value <= 1e6, "a number in [1, 1e6]"),
    "d_model": (lambda value: is_whole(value) and 1 <= value <= 10**6, "a whole number in [1, 1000000]"),
    "decay_shape": one_of(DECAY_SHAPES),
    "anneal": one_of(("cosine", "linear")),
    "milestones": (lambda value: isinstance(value, list | tuple) and len(value) > 0, "a list of lengths"),
    "phases": (lambda value: isinstance(value, list | tuple) and len(value) > 0, "a list of phases"),
    "warmup_shape": one_of(WARMUP_SHAPES),
    "warmup_start": RATIO,
    # of reduce_on_plateau, which counts evaluations
    "factor": (lambda value: is_number(value) and 0.0 < value < 1.0, "a number in (0, 1)"),
    "patience": (lambda value: is_whole(value) and value >= 0, "a whole number of evaluations >= 0"),
    "cooldown": (lambda value: is_whole(value) and value >= 0, "a whole number of evaluations >= 0"),
    "threshold": NOT_NEGATIVE,
    "threshold_mode": one_of(("rel", "abs")),
    "mode": one_of(("min", "max")),
}
OWN_RANGES: dict[tuple[str, str], Rule] = {
    ("cosine_restarts", "num_cycles"): (
        lambda value: is_whole(value) and 1 <= value <= MAX_CYCLES,
        f"a whole number in [1, {MAX_CYCLES}]",
    )
}

# An argument that means something only beside a value of another.
ONLY_WITH = {"decay_power": ("decay_shape", "power")}


def settings_of(entry: Entry) -> dict[str, inspect.Parameter]:
    """The shape arguments that an entry's builder takes, by name."""
    return {
        name: parameter
        for name, parameter in inspect.signature(entry.build).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in NOT_SHAPES
    }


def accepted_by(entry: Entry) -> list[str]:
    """The arguments that may be written for an entry: its own, and a warmup's where it can have one."""
    return [*settings_of(entry), *(WARMUP if entry.facts["warmup"] in ("before", "over") else ())]


def describe_shape(entry: Entry) -> list[tuple[str, Any, str]]:
    """List what may be written for an entry: each argument, its default (empty where it has none), what it may be."""
    parameters, defaults = settings_of(entry), {**WARMUP, **entry.facts.get("defaults", {})}
    described = []
    for name in accepted_by(entry):
        default = parameters[name].default if name in parameters else defaults[name]
        allowed = LENGTH if name in (*PHASES, *PERIODS) else OWN_RANGES.get((entry.name, name), RANGES[name])[1]
        described.append((name, defaults.get(name, default), allowed))
    return described


def refuse_unknown(owner: str, written: Iterable[str], known: list[str]) -> None:
    """Refuse the first argument that its owner does not have.

    Raises:
        UserError: As said, with the nearest name that the owner has.
    """
    for name in written:
        if name not in known:
            guess, listed = did_you_mean(name, known), ", ".join(known) or "none"
            raise UserError(f"{owner} has no setting {name!r}{guess} (known: {listed})")


def check_shape(entry: Entry, shape: Mapping[str, Any]) -> None:
    """Refuse shape arguments that an entry does not have, or that are out of range; lengths are checked apart.

    Raises:
        UserError: An argument is unknown, missing, out of range, or without what it belongs to.
    """
    settings, owner = settings_of(entry), f"scheduler {entry.name!r}"
    elsewhere = dict(NOT_SHAPES)
    if "instead_of_warmup" in entry.facts:
        elsewhere["num_warmup_steps"] = entry.facts["instead_of_warmup"]
    for name, instead in elsewhere.items():
        if name in shape:
            raise UserError(f"{owner} has no setting {name!r}: {instead}")
    refuse_unknown(owner, shape, accepted_by(entry))
    for name, value in shape.items():
        if name in RANGES and not (value is None and name in settings and settings[name].default is None):
            holds, expected = OWN_RANGES.get((entry.name, name), RANGES[name])
            if not holds(value):
                raise UserError(f"{name} must be {expected}, got {value!r}")
        if name in ONLY_WITH:
            other, wanted = ONLY_WITH[name]
            if shape.get(other) != wanted:
                raise UserError(f"{name} means something only beside {other} {wanted!r}, got {shape.get(other)!r}")
    for name, parameter in settings.items():
        if parameter.default is inspect.Parameter.empty and name not in {**entry.facts.get("defaults", {}), **shape}:
            raise UserError(f"{owner} needs {name}")


def check_warmup(entry: Entry, num_warmup_steps: int, shape: Mapping[str, Any]) -> None:
    """Refuse a warmup that a curve cannot have, and a shape of a warmup that is not there.

    Raises:
        UserError: As said.
    """
    if num_warmup_steps and "instead_of_warmup" in entry.facts:
        raise UserError(
            f"scheduler {entry.name!r} takes no warmup, got {num_warmup_steps} updates: "
            f"{entry.facts['instead_of_warmup']}"
        )
    asked = [name for name in WARMUP if name in shape]
    if asked and not num_warmup_steps:
        raise UserError(f"{asked[0]} needs a warmup (num_warmup_steps, or the host's warmup_steps), got none")
    if shape.get("warmup_shape") == "exponential" and not shape.get("warmup_start"):
        raise UserError("an exponential warmup needs a warmup_start above 0, got 0")
