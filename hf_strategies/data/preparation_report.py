"""What the preparation of text found."""

from dataclasses import dataclass, field
from typing import NamedTuple


class SideCounts(NamedTuple):
    """One side of the split: its documents, their text in bytes of UTF-8, and its tokens."""

    documents: int
    bytes: int
    tokens: int


@dataclass(frozen=True, kw_only=True)
class PreparationReport:
    """What the preparation found.

    Args:
        sides: Counts by side; a streamed training side is not counted.
        broken: Lines about records that were skipped, or nothing.
        from_cache: Nothing had to be tokenized.
        seconds: How long the preparation took.
        notes: What else there is to say of the data.
    """

    sides: dict[str, SideCounts]
    broken: str
    from_cache: bool
    seconds: float
    notes: list[str] = field(default_factory=list)

    @property
    def bytes_per_token(self) -> float:
        counted = self.sides.values()
        return sum(side.bytes for side in counted) / sum(side.tokens for side in counted)

    def summary(self) -> str:
        """A line per side, one for the whole, and what was skipped."""
        lines = [
            f"{name}: {side.documents:,} documents, {side.bytes:,} bytes, {side.tokens:,} tokens"
            for name, side in self.sides.items()
        ]
        how = "read from the cache" if self.from_cache else "tokenized"
        lines.append(f"{self.bytes_per_token:.2f} bytes per token; {how} in {self.seconds:.1f} s")
        lines += self.notes
        return "\n".join([*lines, self.broken] if self.broken else lines)
