"""What a setting's value may be: rules that several rooms share, each with its words for a message.

True and false are no numbers here, although Python counts them as such.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

Rule = tuple[Callable[[Any], bool], str]

MAX_LEARNING_RATE = 10  # what is above was meant for something else


def is_number(value: Any) -> bool:
    """Tell whether `value` is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf


def is_whole(value: Any) -> bool:
    """Tell whether `value` is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def up_to(limit: float) -> Rule:
    """Return the rule that admits numbers above 0, as far as one may be meant."""
    return (lambda value: is_number(value) and 0 < value <= limit, f"a number above 0 and at most {limit:g}")


def one_of(words: Iterable[str]) -> Rule:
    """Return the rule that admits these words."""
    known = list(words)
    return (lambda value: value in known, f"one of {', '.join(known)}")


NOT_NEGATIVE: Rule = (lambda value: is_number(value) and value >= 0, "a finite number >= 0")
POSITIVE: Rule = (lambda value: is_number(value) and value > 0, "a number above 0")
AT_LEAST_ONE: Rule = (lambda value: is_number(value) and value >= 1, "a finite number >= 1")
RATIO: Rule = (lambda value: is_number(value) and 0 <= value <= 1, "a number in [0, 1]")
POSITIVE_RATIO: Rule = (lambda value: is_number(value) and 0 < value <= 1, "a number in (0, 1]")
AVERAGE: Rule = (lambda value: is_number(value) and 0 <= value < 1, "a number in [0, 1)")
COUNT: Rule = (lambda value: is_whole(value) and value >= 1, "a whole number >= 1")
SWITCH: Rule = (lambda value: isinstance(value, bool), "true or false")
LEARNING_RATE: Rule = (
    lambda value: is_number(value) and 0 <= value <= MAX_LEARNING_RATE,
    f"a number in [0, {MAX_LEARNING_RATE}]",
)
SAM_RHO: Rule = up_to(10)  # 0.05 is typical; further uphill lies another model


def or_none(rule: Rule, meaning: str = "") -> Rule:
    """Return a rule that admits None too, and says what it stands for."""
    holds, expected = rule
    return (lambda value: value is None or holds(value), f"{expected}, or none{meaning}")
