"""One document, and the count of records that could not become one."""

from dataclasses import dataclass, field
from typing import NamedTuple

from hf_strategies.errors import UserError

REMEMBERED = 20  # broken records that are named; the rest are only counted
ENOUGH_TO_JUDGE = 1_000  # records after which the share of broken ones means something


class Document(NamedTuple):
    """A text, and where it came from: `source` is a path or a data set's name, `row` counts from 1.

    `held_out` says which side of the split it is on, where its source knows; None leaves it to its hash.
    """

    text: str
    source: str
    row: int
    held_out: bool | None = None


@dataclass
class BrokenRecords:
    """Counts good and broken records while they are read, and stops the reading when too many are broken.

    Args:
        max_share: Largest share of broken records that is skipped over, in [0, 1].

    Raises:
        UserError: `max_share` is no share.
    """

    max_share: float = 0.01
    num_good: int = 0
    num_broken: int = 0
    examples: list[str] = field(default_factory=list)
    num_binary: int = 0
    binary_examples: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_share <= 1.0:
            raise UserError(f"max_broken_share must lie in [0, 1], got {self.max_share}")

    def restart(self) -> None:
        """Forget what was counted: the data is read from its beginning again."""
        vars(self).update(vars(BrokenRecords(self.max_share)))

    def good(self) -> None:
        self.num_good += 1

    def binary(self, source: str) -> None:
        """Count a file that is no record at all: a picture in a folder of text is listed, and not judged."""
        self.num_binary += 1
        if len(self.binary_examples) < REMEMBERED:
            self.binary_examples.append(source)

    def leave_out(self, what: str) -> None:
        """Remember what is no record and is not read, in words."""
        self.left_out.append(what)

    def count(self, what: str, number: int) -> None:
        """Count what is read, but not as it stands there; `what` says both in words."""
        if number:
            self.counts[what] = self.counts.get(what, 0) + number

    def broken(self, source: str, row: int, reason: str) -> None:
        """Count one broken record.

        Raises:
            UserError: Enough records were read, and more than `max_share` of them are broken.
        """
        self.num_broken += 1
        if len(self.examples) < REMEMBERED:
            self.examples.append(f"{source}:{row} {reason}")
        if self.num_good + self.num_broken >= ENOUGH_TO_JUDGE:
            self.check()

    def check(self) -> None:
        """Judge what was read; called once more at the end of the data, however little there was.

        Raises:
            UserError: More than `max_share` of the records are broken.
        """
        records = self.num_good + self.num_broken
        if self.num_broken > self.max_share * records:
            raise UserError(
                f"{self.num_broken:,} of {records:,} records are broken, more than the share of {self.max_share:g} "
                f"that may be skipped (max_broken_share); first: {'; '.join(self.examples[:3])}"
            )

    def summary(self) -> str:
        """Say what was skipped, how many, and name the first ones; empty when nothing was."""
        records = self.num_good + self.num_broken
        lines = [
            *_listed(f"skipped {self.num_broken:,} broken of {records:,} records:", self.examples, self.num_broken),
            *_listed(f"left out {self.num_binary:,} binary files:", self.binary_examples, self.num_binary),
            *(f"left out {what}" for what in self.left_out),
            *(f"{number:,} {what}" for what, number in self.counts.items()),
        ]
        return "\n".join(lines)


def _listed(title: str, examples: list[str], number: int) -> list[str]:
    more = [f"  and {number - len(examples):,} more"] if number > len(examples) else []
    return [title, *(f"  {example}" for example in examples), *more] if number else []
