"""What a user may say about augmentation, checked without torch: a command line asks before it is imported."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hf_strategies.errors import MissingPackageError, UserError, did_you_mean
from hf_strategies.registry import Registry


@dataclass(frozen=True)
class Step:
    """One augmentation and its settings.

    Args:
        name: Name on its shelf.
        settings: Keyword arguments of what the shelf builds; what is not set keeps its default there.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def parse_steps(title: str, written: Any, shelf: Registry) -> tuple[Step, ...]:
    """Read a list of augmentations as YAML gives it, in the order in which they are applied.

    Args:
        title: The setting that it was written under, for messages.
        written: Names, or mappings with a name and settings; None for none.
        shelf: Where the names stand.

    Raises:
        UserError: It is no list; a name stands in it twice, whose draws would be the same; or as `parse_step`.
    """
    if not isinstance(written, list | tuple | None):
        raise UserError(f"{title} must be a list such as [{{name: {shelf.names()[0]}}}], got {written!r}")
    steps = tuple(parse_step(title, one, shelf) for one in written or ())
    names = [step.name for step in steps]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{title} has {name} more than once; each augmentation can be applied once")
    return steps


def parse_step(title: str, written: Any, shelf: Registry) -> Step:
    """Read one augmentation: its name, or a mapping such as `{name: random_erasing, probability: 0.25}`.

    Args:
        title: As for `parse_steps`.
        written: What YAML gives.
        shelf: As for `parse_steps`.

    Raises:
        UserError: The name or a setting is unknown, a value is out of range, or a package is not installed.
    """
    settings = {"name": written} if isinstance(written, str) else written
    if not isinstance(settings, Mapping) or "name" not in settings:
        raise UserError(f"{title} must say a name, as in {{name: {shelf.names()[0]}}}, got {written!r}")
    entry = shelf[settings["name"]]
    ranges = entry.facts["hyperparameters"]
    given = {key: value for key, value in settings.items() if key != "name"}
    for key, value in given.items():
        if key not in ranges:
            known = f"known: {', '.join(ranges)}" if ranges else "it has none"
            raise UserError(f"{title}: {entry.name} has no setting {key!r}{did_you_mean(key, ranges)} ({known})")
        holds, expected = ranges[key]
        if not holds(value):
            raise UserError(f"{title}: {key} of {entry.name} must be {expected}, got {value!r}")
    package = entry.facts.get("package")
    if package is not None and importlib.util.find_spec(package) is None:
        raise MissingPackageError(package, entry.facts["extra"], f"augmentation {entry.name!r}")
    return Step(entry.name, given)
