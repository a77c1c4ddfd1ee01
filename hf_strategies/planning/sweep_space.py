"""What a sweep varies: lists of values and ranges, and the settings that a grid or chance makes of them.

A setting is a mapping from names to values as text, exactly as a flag would carry them. Names may reach into a
mapping: `optimizer_kwargs.momentum`. Nothing here imports torch.
"""

import itertools
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from hf_strategies.arguments.layers import unknown_setting
from hf_strategies.arguments.settings import NumberLoader, Setting, convert

SettingValues = Mapping[str, str]

BETWEEN_VALUES = re.compile(r",(?![^\[{]*[\]}])")  # not inside a list or a mapping


@dataclass(frozen=True)
class Choices:
    """One setting's values, each as text."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Span:
    """A range from which one setting is drawn log-uniformly.

    Args:
        name: The setting.
        low, high: Its ends, 0 < low < high.
        whole: Whether only whole numbers are values.
    """

    name: str
    low: float
    high: float
    whole: bool

    def text(self, value: float) -> str:
        """Write a drawn value with three significant digits, inside the range."""
        return as_text(min(max(round(value) if self.whole else float(f"{value:.3g}"), self.low), self.high), "")


Axis = Choices | Span


def parse_axis(text: str, settings: dict[str, Setting]) -> Axis:
    """Read NAME=VALUE,VALUE,... or NAME=LOW..HIGH.

    Args:
        text: As written after `--vary`.
        settings: Every setting of the job by name.

    Raises:
        ValueError: The name is unknown, a value is of a wrong type or given twice, or a range is not one.
    """
    name, equals, given = (part.strip() for part in text.partition("="))
    head, dot, key = name.partition(".")
    if not equals or not given:
        raise ValueError(f"expected NAME=VALUE,VALUE,... or NAME=LOW..HIGH, got {text!r}")
    if head not in settings:
        raise ValueError(unknown_setting(head, settings))
    setting = settings[head]
    if "dict" in setting.types and not key:
        raise ValueError(f"{head} holds settings of its own: vary one of them as {head}.NAME")
    if dot and "dict" not in setting.types:
        raise ValueError(f"{name}: {head} holds no settings of its own")
    low, dots, high = given.partition("..")
    if dots and as_number(low) is not None:
        return _span(name, low, high, whole="int" in setting.types and "float" not in setting.types)
    values = []
    for word in BETWEEN_VALUES.split(given):
        value = _read(setting, key, word.strip())
        written = as_text(value, word.strip())
        if written in values:
            raise ValueError(f"{name}: {written} is given twice")
        values.append(written)
    return Choices(name, tuple(values))


def as_text(value: Any, written: str) -> str:
    """Write a value so that equal numbers are equal texts (1e-3 and 0.001); anything else as it was written."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, int | float) else written


def as_number(text: str) -> float | None:
    """Return a value as a number; None where it is no finite one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def grid(axes: Sequence[Axis]) -> list[SettingValues]:
    """Every combination of the values of `axes`, the last one changing fastest; each is a list."""
    values = [axis.values for axis in axes if isinstance(axis, Choices)]
    return [dict(zip([axis.name for axis in axes], combination)) for combination in itertools.product(*values)]


def draw(axes: Sequence[Axis], count: int) -> list[SettingValues]:
    """Draw `count` different settings at random; a longer draw begins with the shorter one.

    Why chance serves better than a grid where few of many settings matter: Bergstra and Bengio 2012,
    https://jmlr.org/papers/v13/bergstra12a.html.

    Raises:
        ValueError: There are not that many.
    """
    if all(isinstance(axis, Choices) for axis in axes):
        settings = grid(axes)
        if count > len(settings):
            raise ValueError(f"expected at most {len(settings)}, as many as there are combinations, got {count}")
        return random.Random(0).sample(settings, len(settings))[:count]
    drawn: dict[tuple[str, ...], SettingValues] = {}
    attempts = (random.Random(f"trial {number}") for number in itertools.count())
    for attempt in itertools.islice(attempts, 100 * count):
        setting = {axis.name: _draw_one(axis, attempt) for axis in axes}
        drawn.setdefault(tuple(setting.values()), setting)
        if len(drawn) == count:
            return list(drawn.values())
    raise ValueError(f"expected at most {len(drawn)}, as many as the ranges have different settings, got {count}")


def corners(axes: Sequence[Axis]) -> list[SettingValues]:
    """Settings that between them hold every listed value and both ends of every range, one axis changed at a time."""
    extremes = {
        axis.name: axis.values if isinstance(axis, Choices) else (axis.text(axis.low), axis.text(axis.high))
        for axis in axes
    }
    first = {name: values[0] for name, values in extremes.items()}
    return [first, *({**first, name: value} for name, values in extremes.items() for value in values[1:])]


def _read(setting: Setting, key: str, word: str) -> Any:
    if not word:
        raise ValueError(f"{setting.name}: expected values, got an empty one")
    if key:
        try:
            return yaml.load(word, Loader=NumberLoader)
        except yaml.YAMLError as error:
            raise ValueError(f"{setting.name}.{key}: expected a value as YAML has them, got {word!r}") from error
    try:
        return convert(setting, word)
    except ValueError as error:
        raise ValueError(f"{setting.name}: {error}") from error


def _span(name: str, low: str, high: str, *, whole: bool) -> Span:
    ends = as_number(low), as_number(high)
    if ends[0] is None or ends[1] is None or not 0.0 < ends[0] < ends[1]:
        raise ValueError(
            f"{name}: expected LOW..HIGH with 0 < LOW < HIGH (it is drawn log-uniformly), got {low}..{high}"
        )
    return Span(name, ends[0], ends[1], whole)


def _draw_one(axis: Axis, chance: random.Random) -> str:
    if isinstance(axis, Choices):
        return chance.choice(axis.values)
    return axis.text(math.exp(chance.uniform(math.log(axis.low), math.log(axis.high))))
