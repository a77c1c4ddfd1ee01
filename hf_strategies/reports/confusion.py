"""Which classes are taken for which."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from hf_strategies.reports.terminal import MAX_WIDTH, format_number, format_table

MOST_CLASSES = 20  # in a table; of more, those that are confused most
MOST_ON_TERMINAL = 10
MOST_PAIRS = 5


class ClassScores(NamedTuple):
    """How well one class is found; None where there is nothing to divide by.

    `precision` is the share of what is predicted as the class that is of it, `recall` the share of the class that is
    found, `f1` their harmonic mean, `support` the rows of the class.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


class Mixup(NamedTuple):
    """A class that is taken for another: how often, and in which share of its rows."""

    true: str
    predicted: str
    times: int
    share: float


@dataclass(frozen=True)
class Confusion:
    """How often each class is taken for each.

    Args:
        names: Of the classes.
        counts: Rows are true classes, columns predicted ones. `[classes, classes]`
    """

    names: Sequence[str]
    counts: Sequence[Sequence[int]]

    @cached_property
    def support(self) -> list[int]:
        """How many rows are truly of each class."""
        return [sum(row) for row in self.counts]

    @cached_property
    def predicted(self) -> list[int]:
        """How many rows are predicted to be of each class."""
        return [sum(column) for column in zip(*self.counts)]

    @property
    def shown(self) -> list[int]:
        """Numbers of the classes that a table shows: all, or those with the most mistakes from them and to them."""
        mistakes = [
            support + predicted - 2 * self.counts[number][number]
            for number, (support, predicted) in enumerate(zip(self.support, self.predicted))
        ]
        ranked = sorted(range(len(self.names)), key=lambda number: -mistakes[number])
        return sorted(ranked[:MOST_CLASSES])

    def share(self, true: int, predicted: int) -> float:
        """Return which share of a class's rows is predicted to be of a class; 0 of a class without rows."""
        return self.counts[true][predicted] / max(self.support[true], 1)

    def scores(self, number: int) -> ClassScores:
        """Return how well one class is found."""
        right, support, predicted = self.counts[number][number], self.support[number], self.predicted[number]
        return ClassScores(
            self.names[number],
            right / predicted if predicted else None,
            right / support if support else None,
            2 * right / (support + predicted) if support + predicted else None,
            support,
        )

    def mixups(self, most: int = MOST_PAIRS) -> list[Mixup]:
        """Return what is taken for something else most often."""
        found = [
            Mixup(name, self.names[column], count, self.share(row, column))
            for row, name in enumerate(self.names)
            for column, count in enumerate(self.counts[row])
            if count and column != row
        ]
        return sorted(found, key=lambda mixup: -mixup.times)[:most]


def count_confusions(predictions: Any, references: Any, names: Sequence[str]) -> Confusion:
    """Count which classes are taken for which over a whole evaluation set.

    Args:
        predictions: Classes, or a score for each. `[...]` or `[..., classes]`
        references: True classes, -100 where there is none. `[...]`
        names: Of the classes, by their numbers.
    """
    import numpy as np  # not needed by those who only read a record

    from hf_strategies.metrics.inputs import class_labels

    predicted, true = (side.astype(int) for side in class_labels(predictions, references))
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (true, predicted), 1)
    return Confusion(tuple(names), counts.tolist())


def confusion_lines(confusion: Confusion) -> str:
    """Lay out a confusion for a terminal: the whole table of few classes, of many what is confused most."""
    headers = ["true / predicted", *confusion.names]
    if len(confusion.names) <= MOST_ON_TERMINAL:
        rows = [(name, *counts) for name, counts in zip(confusion.names, confusion.counts)]
        table = format_table(rows, headers)
        if len(table.splitlines()[0]) <= MAX_WIDTH:
            return table
    return "\n".join(map(mixup_line, confusion.mixups()))


def mixup_line(mixup: Mixup) -> str:
    """Say what is taken for what, and how often: "'cat' is taken for 'dog' 41 times (4.1% of 'cat')"."""
    times = "once" if mixup.times == 1 else f"{format_number(mixup.times)} times"
    return f"{mixup.true!r} is taken for {mixup.predicted!r} {times} ({format_share(mixup.share)} of {mixup.true!r})"


def format_share(share: float) -> str:
    """Write a share in percent with two digits, never rounded up to all of it or down to nothing: 4.1%, 63%, >99%."""
    percent = 100 * share
    if percent in (0, 100):
        return f"{percent:.0f}%"
    if percent < 0.1:
        return "<0.1%"
    return ">99%" if percent >= 99.5 else f"{percent:.2g}%"
