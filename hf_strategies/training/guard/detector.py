"""Whether an update's loss and gradient are good, judged by the good updates before it. Pure arithmetic.

A value is a spike when it stands too far above the recent median, in units of a spread that outliers hardly move: the
median absolute deviation. Two things keep that from crying wolf: the spread has a floor (a flat loss is no reason to
call a ripple a spike), and a high value that was accepted widens it (losses of fine-tuning have heavy tails), though
only once lower ones have followed: a climb must not vouch for itself. Only upward counts: nobody minds a loss that
falls. A climb by less than about a twelfth of the least spike per update goes unnoticed.
"""

import math
from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Any

WINDOW = 64  # good updates that are remembered
MIN_HISTORY = 16  # fewer say nothing about a spread
MAX_HEIGHT = 10.0  # in spreads; with the floors: a loss 1 above the median, or a norm 12 times it, at the least
LOSS_FLOOR = 0.1  # spread of a loss is at least this,
RELATIVE_LOSS_FLOOR = 0.03  # and this share of its median: losses of regressions come in any unit
LOG_NORM_FLOOR = 0.25
MAD_TO_SIGMA = 1.4826  # of a normal distribution
TAIL = 4.0  # the highest value but for the newest counts as this many spreads above the median
NEWEST = 8  # updates whose values have still to be followed by lower ones


def height(value: float, recent: Sequence[float], floor: float) -> float:
    """Return how many spreads `value` stands above the median of `recent`.

    Args:
        value: A finite number.
        recent: Numbers of good updates, the newest last; at least one.
        floor: Smallest spread.
    """
    middle = median(recent)
    deviation = median(abs(other - middle) for other in recent)
    highest = max(list(recent)[:-NEWEST], default=middle)
    spread = max(MAD_TO_SIGMA * deviation, (highest - middle) / TAIL, floor)
    return (value - middle) / spread


class Detector:
    """Remember the good updates, and say what is wrong with the next one."""

    def __init__(self) -> None:
        self.losses: deque[float] = deque(maxlen=WINDOW)
        self.log_norms: deque[float] = deque(maxlen=WINDOW)

    def trouble(self, loss: float, grad_norm: float) -> str:
        """Say what is wrong with an update, in a few words; nothing where it is good.

        Args:
            loss: Of the whole update, over all ranks.
            grad_norm: Of the whole gradient, before it is clipped.
        """
        if not math.isfinite(loss):
            return f"loss is {loss}"
        if not math.isfinite(grad_norm):
            return f"gradient norm is {grad_norm}"
        if _is_spike(loss, self.losses, max(LOSS_FLOOR, RELATIVE_LOSS_FLOOR * self._usual(self.losses))):
            return f"loss {loss:.4g} is far above the usual {median(self.losses):.4g}"
        if grad_norm > 0 and _is_spike(math.log(grad_norm), self.log_norms, LOG_NORM_FLOOR):
            return f"gradient norm {grad_norm:.4g} is far above the usual {math.exp(median(self.log_norms)):.4g}"
        return ""

    def accept(self, loss: float, grad_norm: float) -> None:
        """Remember an update that is good."""
        self.losses.append(loss)
        if grad_norm > 0:  # a batch without targets has no gradient, and says nothing about those that have one
            self.log_norms.append(math.log(grad_norm))

    def state(self) -> dict[str, Any]:
        """Return JSON values for `load_state`."""
        return {"losses": list(self.losses), "log_norms": list(self.log_norms)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on with what another detector remembered."""
        self.losses.extend(state["losses"])
        self.log_norms.extend(state["log_norms"])

    @staticmethod
    def _usual(recent: Sequence[float]) -> float:
        return abs(median(recent)) if recent else 0.0


def _is_spike(value: float, recent: Sequence[float], floor: float) -> bool:
    if len(recent) < MIN_HISTORY or value <= max(list(recent)[:-NEWEST]):
        return False  # as nearly always, without a median
    return height(value, recent, floor) > MAX_HEIGHT
