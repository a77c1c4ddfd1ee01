"""A hyperparameter over a run, and how it goes in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hf_strategies.reports.terminal import format_number

ALIKE = 1e-9  # two values that differ by less of the highest are one


def even_updates(length: int, most: int) -> list[int]:
    """List at most so many updates of a run at even distances, the first and the last among them."""
    count = min(length, most)
    return [number * (length - 1) // max(count - 1, 1) for number in range(count)]


@dataclass(frozen=True, kw_only=True)
class PlannedCurve:
    """One hyperparameter over a whole run.

    Args:
        name: Of the hyperparameter.
        scheduler: Name of its curve.
        values: What updates use, from the first to the last, by their numbers from 0; of a long run not each has one.
    """

    name: str
    scheduler: str
    values: Mapping[int, float]

    @property
    def num_updates(self) -> int:
        """Length of the run."""
        return max(self.values) + 1

    @property
    def held(self) -> tuple[int, int]:
        """The first and the last update that use the highest value, from 0."""
        close = max(self.values.values()) * (1.0 - ALIKE)
        at_peak = [update for update, value in self.values.items() if value >= close]
        return at_peak[0], at_peak[-1]

    def describe(self) -> str:
        """Say in numbers how the curve goes: its rise, its peak, its fall, and where it turns on the way."""
        first, last = self.held
        end = self.num_updates - 1
        parts = [f"begins at {self._shown(0)}"]
        if first > 0 and (low := self._lowest(0, first)) == 0:
            parts = [f"from {self._shown(0)} up to {self._shown(first)} in {first:,} updates"]
        elif first > 0:
            parts += [f"dips to {self._shown(low)}", f"rises to {self._shown(first)} at update {first + 1:,}"]
        if last > first:
            low = self._lowest(first, last)
            if self._is_level(first, low):
                parts.append(f"stays there until update {last + 1:,}")
            else:
                parts.append(f"dips to {self._shown(low)} and is there again at update {last + 1:,}")
        if last < end and (again := self._highest_rise(last)) is not None:
            parts.append(f"falls and rises to {self._shown(again)} at update {again + 1:,}")
        if last < end:
            parts.append(f"ends at {self._shown(end)}")
        return ", ".join(parts)

    def _shown(self, update: int) -> str:
        return format_number(self.values[update])

    def _is_level(self, first: int, second: int) -> bool:
        """Tell whether two updates use one value."""
        return abs(self.values[first] - self.values[second]) <= ALIKE * max(self.values.values())

    def _lowest(self, first: int, last: int) -> int:
        """Return the update of the lowest value between two, the first of several."""
        between = [update for update in self.values if first <= update <= last]
        low = min(between, key=self.values.__getitem__)
        return between[0] if self._is_level(between[0], low) else low

    def _highest_rise(self, last: int) -> int | None:
        """Return the highest that a curve comes to after the fall from its peak; None where it only falls."""
        lowest, found = last, None
        for update in (update for update in self.values if update > last):
            if self.values[update] < self.values[lowest]:
                lowest = update
            elif not self._is_level(update, lowest) and (found is None or self.values[update] > self.values[found]):
                found = update
        return found
