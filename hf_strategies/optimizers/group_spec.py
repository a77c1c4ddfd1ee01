"""What a user may say about groups of parameters, checked without torch: a command line asks before it is imported."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.optimizers.shelf import OPTIMIZERS
from hf_strategies.ranges import (
    AT_LEAST_ONE,
    LEARNING_RATE,
    NOT_NEGATIVE,
    POSITIVE,
    POSITIVE_RATIO,
    SWITCH,
    Rule,
    is_whole,
    one_of,
)

MATRIX, ADAMW = "matrix", "adamw"  # the halves of an optimizer that treats hidden matrices apart


@dataclass(frozen=True, kw_only=True)
class GroupRule:
    """What holds for the parameters whose name a pattern finds.

    Args:
        pattern: Regular expression, searched for anywhere in a parameter's name in the model itself, without wrappers.
        lr: Their base rate, whatever else would scale it.
        lr_scale: Multiplies the rate they would have.
        weight_decay: Their decay, also of norms and biases.
        optimizer: "matrix" or "adamw": the half that updates them, of an optimizer that has two.
    """

    pattern: str
    lr: float | None = None
    lr_scale: float | None = None
    weight_decay: float | None = None
    optimizer: str | None = None


@dataclass(frozen=True, kw_only=True)
class GroupSpec:
    """How rates and decay differ between a model's parameters.

    Args:
        decay_embeddings: Whether tables of tokens and positions are decayed like other weights.
        layerwise_lr_decay: A block's rate is this times that of the block above it; in (0, 1]. None: all have one.
        lora_plus_ratio: The rate of LoRA's B factors over that of A; at least 1. None: 1.
        unfreeze_every: Time from one block's start to that of the block below it: updates, a share of the run in
            (0, 1), "1 epoch" or "2M tokens". Head and last norm train from the start, embeddings join after the last
            block. None: all train from the start.
        unfrozen_at_start: Blocks that train from the start too, the top ones.
        rules: Exceptions by name; a parameter may match one of them.
    """

    decay_embeddings: bool = True
    layerwise_lr_decay: float | None = None
    lora_plus_ratio: float | None = None
    unfreeze_every: float | str | None = None
    unfrozen_at_start: int = 0
    rules: tuple[GroupRule, ...] = ()


RANGES: dict[str, Rule] = {
    "pattern": (lambda value: isinstance(value, str) and value != "", "a regular expression"),
    "decay_embeddings": SWITCH,
    "layerwise_lr_decay": POSITIVE_RATIO,
    "lora_plus_ratio": AT_LEAST_ONE,
    "unfreeze_every": (
        lambda value: isinstance(value, str) or POSITIVE[0](value),
        'a length such as 100 or "1 epoch"',
    ),
    "unfrozen_at_start": (lambda value: is_whole(value) and value >= 0, "a whole number >= 0"),
    "lr": LEARNING_RATE,
    "lr_scale": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
    "optimizer": one_of((MATRIX, ADAMW)),
}


def parse_group_spec(settings: Mapping[str, Any] | None) -> GroupSpec:
    """Read the mapping that a recipe, a flag or a caller gives as `param_groups`.

    Raises:
        UserError: A word is unknown, a value out of range, a pattern no regular expression, or a rule says nothing.
    """
    if not isinstance(settings, Mapping | None):
        raise UserError(f"param_groups must be a mapping, got {settings!r}")
    given = _checked("param_groups", settings or {}, GroupSpec)
    if "unfrozen_at_start" in given and "unfreeze_every" not in given:
        raise UserError("param_groups: unfrozen_at_start means something only beside unfreeze_every, got none")
    rules = given.pop("rules", ())
    if not isinstance(rules, list | tuple) or not all(isinstance(rule, Mapping) for rule in rules):
        raise UserError(
            f"param_groups: rules must be a list of mappings such as {{pattern: norm, lr: 1e-3}}, got {rules!r}"
        )
    return GroupSpec(**given, rules=tuple(_parse_rule(number, rule) for number, rule in enumerate(rules, start=1)))


def check_group_settings(optimizer: str, settings: Mapping[str, Any] | None) -> None:
    """Refuse `param_groups` that are wrong whatever the model is.

    Args:
        optimizer: Name on the shelf.
        settings: As for `parse_group_spec`.

    Raises:
        UserError: As `parse_group_spec`; or a rule chooses a half of an optimizer that has none.
    """
    halved = OPTIMIZERS[optimizer].facts["matrix_half"]
    for rule in parse_group_spec(settings).rules:
        if rule.optimizer is not None and not halved:
            raise UserError(
                f"{_title(rule.pattern)}: optimizer must be left out, got {rule.optimizer!r}: {optimizer} has no "
                "matrix half to choose"
            )


def _title(pattern: str) -> str:
    return f"param_groups rule {pattern!r}"


def _parse_rule(number: int, settings: Mapping[str, Any]) -> GroupRule:
    pattern = settings.get("pattern")
    title = _title(pattern) if isinstance(pattern, str) and pattern else f"param_groups rule {number}"
    given = _checked(title, settings, GroupRule)
    try:
        re.compile(given["pattern"])
    except KeyError as error:
        raise UserError(f"{title} has no pattern: give it the regular expression that finds its parameters") from error
    except re.error as error:
        raise UserError(f"{title} is no regular expression: {error}") from error
    rule = GroupRule(**given)
    if rule.lr is not None and rule.lr_scale is not None:
        raise UserError(f"{title}: lr and lr_scale cannot both be given: one is the rate, the other multiplies it")
    if rule == GroupRule(pattern=rule.pattern):
        raise UserError(f"{title} changes nothing: give it lr, lr_scale, weight_decay or optimizer")
    return rule


def _checked(title: str, settings: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return what is set, every word of it known and every value in its range."""
    known = [field.name for field in fields(kind)]
    for name, value in settings.items():
        if name not in known:
            guess = did_you_mean(name, known)
            raise UserError(f"{title} has no setting {name!r}{guess} (known: {', '.join(known)})")
        if value is not None and name in RANGES and not RANGES[name][0](value):
            raise UserError(f"{title}: {name} must be {RANGES[name][1]}, got {value!r}")
    return {name: value for name, value in settings.items() if value is not None}
