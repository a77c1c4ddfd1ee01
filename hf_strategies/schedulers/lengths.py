"""How long a part of a run is: whole updates, a share of the run, tokens or epochs, all turned into updates."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hf_strategies.errors import UserError, as_written

MULTIPLIERS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9}
UNKNOWN = 10**12  # updates, or tokens of one, where only the run will tell: so many that every length fits


def read_quantity(text: str) -> tuple[float, str] | None:
    """Read "0.5M tokens" as (500000.0, "token"): a number, its multiplier, and its unit in the singular or ""."""
    found = re.fullmatch(r"\s*([\d_.]+(?:e\d+)?)\s*([kKmMbBgG]?)\s*([a-z]*)\s*", text)
    try:
        return (float(found[1]) * MULTIPLIERS[found[2].lower()], found[3].removesuffix("s")) if found else None
    except ValueError:  # dots and underscores that make no number
        return None


@dataclass(frozen=True)
class RunScale:
    """What lengths are measured against.

    Args:
        num_training_steps: Length of the run, in updates.
        tokens_per_update: Tokens in one update's batch over all devices; None where it is not known.
        updates_per_epoch: Updates in one pass over the data; None where it is not known.

    Raises:
        UserError: The run's length is no whole number of updates.
    """

    num_training_steps: int
    tokens_per_update: float | None = None
    updates_per_epoch: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.num_training_steps, int) or self.num_training_steps < 1:
            raise UserError(f"num_training_steps must be a whole number >= 1, got {self.num_training_steps!r}")

    def updates(
        self, name: str, length: Any, *, rounding: Callable[[float], Any] = math.floor, bounded: bool = True
    ) -> Any:
        """Turn a length that a user wrote into whole updates.

        Args:
            name: What the length is of, for the message.
            length: Whole updates, a share of the run in (0, 1), "2M tokens" or "3 epochs".
            rounding: How a part of an update is rounded.
            bounded: Whether it must fit in the run.

        Raises:
            UserError: It is none of these, its unit cannot be converted, or it is longer than the run.
        """
        if isinstance(length, str):
            updates = self._of_unit(name, length)
        elif isinstance(length, float) and 0.0 < length < 1.0:
            updates = length * self.num_training_steps
        elif _is_whole(length):
            updates = length
        else:
            raise self._refusal(name, length, bounded)
        whole = rounding(round(updates, 6) or updates)  # 0.07 * 100 is a little more than 7
        if bounded and whole > self.num_training_steps:
            if isinstance(length, str):
                raise UserError(
                    f"{name} of {length!r} is {whole} updates: longer than the run's {self.num_training_steps}"
                )
            raise self._refusal(name, length, bounded)
        return whole

    def _refusal(self, name: str, length: Any, bounded: bool) -> UserError:
        room = f"in [0, {self.num_training_steps}]" if bounded and self.num_training_steps < UNKNOWN else ">= 0"
        return UserError(
            f"{name} must be a whole number of updates {room}, {self._other_units()}, got {as_written(length)!r}"
        )

    def _other_units(self) -> str:
        tokens = ['"2M tokens"'] if self.tokens_per_update is not None else []
        epochs = ['"3 epochs"'] if self.updates_per_epoch is not None else []
        *others, last = ["a share of the run in (0, 1)", *tokens, *epochs]
        return f"{', '.join(others)} or {last}" if others else f"or {last}"

    def _of_unit(self, name: str, text: str) -> float:
        count, unit = read_quantity(text) or (math.nan, "")
        if unit == "token" and math.isfinite(count):
            if self.tokens_per_update is None:
                raise UserError(f"{name} of {text!r} needs the tokens of one update (tokens_per_update), got none")
            return count / self.tokens_per_update
        if unit == "epoch" and math.isfinite(count):
            if self.updates_per_epoch is None:
                raise UserError(f"{name} of {text!r} needs the updates of one epoch (updates_per_epoch), got none")
            return count * self.updates_per_epoch
        raise UserError(f"{name} must be a whole number of updates, {self._other_units()}, got {text!r}")


def _is_whole(length: Any) -> bool:
    return (
        isinstance(length, int | float)
        and not isinstance(length, bool)
        and 0 <= length < math.inf
        and length == int(length)
    )
