"""What an architecture can have besides sizes: its options, by name, with what each may be."""

from dataclasses import dataclass
from typing import Any

from hf_strategies.ranges import Rule


@dataclass(frozen=True)
class Option:
    """One thing that a user may choose about an architecture.

    Args:
        default: What it is where nobody says.
        rule: What it may be.
        summary: What it is, in a few words.
    """

    default: Any
    rule: Rule
    summary: str

    def __str__(self) -> str:
        default = str(self.default).lower() if isinstance(self.default, bool) else self.default
        return f"{self.summary} ({self.rule[1]}; default: {default})"
