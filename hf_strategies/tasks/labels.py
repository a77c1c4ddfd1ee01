"""The labels of a task: what they are, found from the rows, and as the numbers that a model is trained on."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hf_strategies.errors import UserError

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
SHOWN = 5  # labels that a message names
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")  # as a table without types writes it
WHOLE = re.compile(r"[+-]?\d+\.0*")


@dataclass(frozen=True)
class Labels:
    """What is to be told apart.

    Args:
        kind: A problem type as the host's configs name it.
        names: Of the classes, in the order of the model's outputs; of a regression the one value's.
    """

    kind: str
    names: tuple[str, ...]

    @property
    def config(self) -> dict[str, Any]:
        """Return the fields of a model's config that describe its head."""
        numbered = dict(enumerate(self.names))
        return {
            "problem_type": self.kind,
            "num_labels": len(self.names),
            "id2label": numbered,
            "label2id": {name: number for number, name in numbered.items()},
        }

    def encode(self, label: Any) -> int | float | list[float]:
        """Return what a loss takes: a class's number, one 0 or 1 per class, or the value."""
        if self.kind == REGRESSION:
            return float(label)
        if self.kind == SINGLE:
            return self.names.index(name_of(label))
        present = set(map(name_of, label))
        return [float(name in present) for name in self.names]

    def numbers(self, labels: Iterable[Any]) -> list[int] | None:
        """Return the number of each label's class; None where rows have not just one class."""
        return [self.names.index(name_of(label)) for label in labels] if self.kind == SINGLE else None


def name_of(label: Any) -> str:
    """Return a class's name as it is shown and compared: 1, "1", 1.0 and "1.0" are one class, and "01" another."""
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    name = str(label).strip()
    return name.partition(".")[0] if WHOLE.fullmatch(name) else name


def _number(label: Any) -> float | None:
    """Return the value of a number, or of a text that spells one; None of anything else."""
    if isinstance(label, str):
        return float(label) if NUMBER.fullmatch(label.strip()) else None
    return float(label) if isinstance(label, int | float) and not isinstance(label, bool) else None


def problem_of(label: Any) -> str:
    """Say what is wrong with a row's label; nothing where it is one, or a list of several."""
    if label is None or (isinstance(label, str) and not label.strip()):
        return "no label"
    if isinstance(label, float) and not math.isfinite(label):
        return f"label {label}"
    if isinstance(label, list) and any(problem_of(item) for item in label):
        return "a label of the list is empty"
    if not isinstance(label, str | int | float | list):
        return f"label of type {type(label).__name__}"
    return ""


def find_labels(
    train: Sequence[Any], validation: Sequence[Any], *, known: Sequence[str] = (), regression: bool = False
) -> Labels:
    """Find out what the labels of both sides are.

    Lists are several labels per row, numbers with a fraction a regression, all else one class per row. Classes are
    numbered as the checkpoint numbers them if it has the same ones, else in the order of their names.

    Args:
        train: Labels of the training rows.
        validation: Labels of the validation rows.
        known: Classes of the checkpoint's own head, in its order.
        regression: Whether whole numbers are values too.

    Raises:
        UserError: Kinds are mixed, there is only one class, or a label of a regression is no number.
    """
    both = [*train, *validation]
    lists = [isinstance(label, list) for label in both]
    if any(lists) and not all(lists):
        raise UserError("labels: some rows have a list of labels, others a single one; write all of them as lists")
    learned = {name for label in train for name in _names(label)}
    found = learned | {name for label in validation for name in _names(label)}
    if len(learned) < (1 if all(lists) else 2):
        only = f"got only {next(iter(learned))!r}" if learned else "got none"
        others = (
            f" ({', '.join(sorted(found - learned)[:SHOWN])} in the validation rows alone)" if found > learned else ""
        )
        raise UserError(f"labels: expected two or more to learn from, {only}{others}: nothing can be learned")
    if all(lists) and not regression:
        return Labels(MULTI, _ordered(found, known))
    if _are_values(both, regression):
        return Labels(REGRESSION, ("score",))
    fractions = [label for label, value in zip(both, map(_number, both)) if value is not None and value % 1]
    # Texts too: classes may be called 3.5 and "other", but not most of them a number with a fraction.
    if regression or 2 * len(fractions) > len(both) or any(isinstance(label, float) for label in fractions):
        wrong = next(label for label in both if _number(label) is None)
        raise UserError(f"labels: a regression needs numbers alone, got {wrong!r} among them")
    return Labels(SINGLE, _ordered(found, known))


def classes_of(labels: Sequence[Any], *, regression: bool = False) -> list[str | None]:
    """Name the class of each label; None of a list of several, and of values as a regression has them."""
    if _are_values(labels, regression):
        return [None] * len(labels)
    return [None if isinstance(label, list) else name_of(label) for label in labels]


def _are_values(labels: Sequence[Any], regression: bool) -> bool:
    """Tell whether labels are a regression's: all are numbers, and one has a fraction or `regression` is set."""
    values = [value for value in map(_number, labels) if value is not None]
    return len(values) == len(labels) and (regression or not all(value.is_integer() for value in values))


def taken_as_values(labels: Iterable[Any]) -> str:
    """Say, with an example, that labels which look like a regression's are taken for one."""
    example = next(label for label in labels if not float(label).is_integer())
    return f"labels are numbers with a fraction ({example!r}): learned as a regression; names of classes need a letter"


def unseen(train: Sequence[Any], validation: Sequence[Any]) -> str:
    """Say which classes only one side has, and in how many rows; nothing where there are none."""
    sides = [Counter(name for label in labels for name in _names(label)) for labels in (train, validation)]
    return "; ".join(
        f"labels {_listed(side - Counter({name: side[name] for name in other}))} are in the {where} rows alone: {what}"
        for side, other, where, what in (
            (sides[1], sides[0], "validation", "nothing can be learned of them"),
            (sides[0], sides[1], "training", "no score tells about them"),
        )
        if side.keys() - other.keys()
    )


def _listed(lacking: Counter[str]) -> str:
    named = ", ".join(f"{name!r} ({rows} rows)" for name, rows in lacking.most_common(SHOWN))
    return f"{named} and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else named


def _names(label: Any) -> list[str]:
    return [name_of(item) for item in label] if isinstance(label, list) else [name_of(label)]


def _ordered(found: set[str], known: Sequence[str]) -> tuple[str, ...]:
    if set(known) == found:
        return tuple(known)
    return tuple(sorted(found, key=_place))


def _place(name: str) -> tuple[bool, float, str]:
    """Sort numbers by their value, before words."""
    is_number = name.lstrip("+-").isdigit()
    return not is_number, float(name) if is_number else 0.0, name
