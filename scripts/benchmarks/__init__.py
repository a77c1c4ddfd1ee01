"""One module per benchmark: its docstring says what is measured, `run` measures it, its keyword arguments are options.

`run` returns the rows of one table or, where there is more to show, `Findings`; None where nothing was measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_strategies.errors import UserError


@dataclass(frozen=True)
class Table:
    """Rows with named cells, and the line that stands above them."""

    rows: Sequence[dict[str, Any]]
    caption: str = ""


@dataclass(frozen=True)
class Findings:
    """What a benchmark found.

    Args:
        tables: In the order of reading.
        pictures: Files beside RESULTS.md, and what each shows.
        remarks: Sentences that a reader of the tables must know.
        origin: When and on what it was measured, where that was not now and here.
        condition: What makes it another section than its benchmark's own, such as "compiled".
    """

    tables: Sequence[Table]
    pictures: Sequence[tuple[Path, str]] = ()
    remarks: Sequence[str] = ()
    origin: str = ""
    condition: str = ""


def require_at_least(minimum: int, **options: int) -> None:
    """Refuse a count that leaves nothing to measure.

    Raises:
        UserError: An option is below `minimum`.
    """
    for name, value in options.items():
        if value < minimum:
            raise UserError(f"--{name} must be at least {minimum}, got {value}")


def require_multiple(divisor: int, **options: int) -> None:
    """Refuse a size that does not divide among `divisor` parts.

    Raises:
        UserError: An option is no positive multiple of `divisor`.
    """
    for name, value in options.items():
        if value < 1 or value % divisor:
            raise UserError(f"--{name} must be a multiple of {divisor}, got {value}")
