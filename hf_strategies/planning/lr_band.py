"""A band of learning rates out of range tests: pure functions of rates and losses.

The range test is Smith's (2017, https://arxiv.org/abs/1506.01186, section 3.3): raise the rate during a short run and
look where the loss falls and where it stops falling. Read off a curve as usual (fastai's finder suggests the steepest
descent, and a tenth of the rate of the minimum), one point hides how little one run says; here each seed gives an
interval, and the band is what the seeds have in common, with their extremes beside it.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

SMOOTHED_SHARE = 1 / 40  # of the rising updates: losses on either side that a smoothed one is the mean of
CALM_LOSSES = 10  # of the lowest rates, at least: what a loss looks like before the rate tells on it
DEVIATIONS = 3.0  # above their mean, from where on a loss is a rise and not chance
RISEN_LOSSES = 3  # in a row that must have risen so: one batch may be wild
BELOW_MINIMUM = 2.0  # the upper end stands at the rate of the minimum over this: there the loss still falls


def rising_rates(low: float, high: float, count: int) -> list[float]:
    """`count` rates from `low` to `high`, each the same multiple of the one before."""
    return [low * (high / low) ** (index / (count - 1)) for index in range(count)]


@dataclass(frozen=True)
class RangeTest:
    """One run with a rising rate.

    Args:
        rates: Rate of each update while it rose, ascending.
        losses: Training loss before that update. As long as `rates`, or shorter where the run was given up.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    def smoothed(self) -> list[float]:
        """Means of each loss and as many on either side, to the last finite one: a rate is not seen late.

        Towards the ends the means are of fewer.
        """
        finite = [loss for loss in self.losses if math.isfinite(loss)]
        sides = [min(self._reach, place, len(finite) - 1 - place) for place in range(len(finite))]
        return [statistics.fmean(finite[place - side : place + side + 1]) for place, side in enumerate(sides)]

    @property
    def minimum(self) -> float:
        """Rate at which the smoothed loss is lowest."""
        return self.rates[self._lowest]

    @property
    def steepest(self) -> float:
        """Rate at which the smoothed loss falls fastest per logarithm of the rate, no later than at its minimum."""
        return self.rates[self._falling_fastest]

    @property
    def begins_too_high(self) -> bool:
        """Whether the loss falls fastest, or is lowest, where the range begins: its best may lie below."""
        return self._falling_fastest <= self._slope_reach

    @property
    def ends_too_low(self) -> bool:
        """Whether the loss is lowest where the range ends, no rise seen: its best may lie above."""
        return len(self.losses) == len(self.rates) and self._lowest >= len(self.smoothed()) - 1 - 2 * self._reach

    @property
    def _reach(self) -> int:
        return max(1, round(SMOOTHED_SHARE * len(self.rates)))

    @property
    def _slope_reach(self) -> int:
        """Points on either side of a slope: lines are fitted to an eighth of the run."""
        return max(1, len(self.rates) // 16)

    @property
    def _lowest(self) -> int:
        """Place of the minimum among the means of full width; those of few losses are low by chance."""
        course = self.smoothed()
        places = range(self._reach, len(course) - self._reach) or range(len(course))
        return min(places, key=course.__getitem__)

    @property
    def _falling_fastest(self) -> int:
        course, reach = self.smoothed(), self._slope_reach
        places = range(min(reach, self._lowest), self._lowest + 1)
        return min(places, key=lambda place: _slope(course[max(0, place - reach) : place + reach + 1]))


@dataclass(frozen=True)
class LearningRateBand:
    """Where a sweep should look.

    Args:
        low, high: Median over the seeds of the steepest descent, and of half the rate of the minimum.
        lowest, highest: Their extremes over the seeds.
        open_below, open_above: Whether half of the seeds or more would go on beyond the range that was tested.
    """

    low: float
    high: float
    lowest: float
    highest: float
    open_below: bool
    open_above: bool

    def describe(self) -> str:
        """Write the band, with the ends that were not seen."""
        return f"{self.low:.2g}{' or less' * self.open_below} to {self.high:.2g}{' or more' * self.open_above}"


def find_band(tests: Sequence[RangeTest]) -> LearningRateBand:
    """Read a band off range tests of several seeds.

    Args:
        tests: One per seed, each with at least one finite loss.
    """
    lows = [test.steepest for test in tests]
    highs = [max(test.minimum / BELOW_MINIMUM, test.steepest) for test in tests]
    return LearningRateBand(
        low=_geometric_median(lows),
        high=_geometric_median(highs),
        lowest=min(lows),
        highest=max(highs),
        open_below=2 * sum(test.begins_too_high for test in tests) >= len(tests),
        open_above=2 * sum(test.ends_too_low for test in tests) >= len(tests),
    )


def has_diverged(warm_losses: Sequence[float], losses: Sequence[float]) -> bool:
    """Tell from the losses so far whether a test need not go on: they stand above what they were at the lowest rates.

    Args:
        warm_losses: One per update at the lowest rate.
        losses: One per update since the rate began to rise.
    """
    if not math.isfinite(losses[-1]):
        return True
    course = [*warm_losses, *losses]
    calm = course[: max(CALM_LOSSES, len(warm_losses))]
    recent = course[len(calm) :][-RISEN_LOSSES:]
    return len(recent) == RISEN_LOSSES and min(recent) > statistics.fmean(calm) + DEVIATIONS * statistics.stdev(calm)


def _geometric_median(values: Sequence[float]) -> float:
    return math.exp(statistics.median(map(math.log, values)))


def _slope(values: Sequence[float]) -> float:
    """Slope of the least-squares line through evenly spaced values; 0 for one."""
    if len(values) < 2:
        return 0.0
    return statistics.linear_regression(range(len(values)), values).slope
