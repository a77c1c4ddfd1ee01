"""Whether a change makes a difference, from runs in pairs: seed by seed, with it and without.

Seeds share the order of data, and where they can the initial weights: much of their luck is the same on both sides of
a pair, and leaves the difference. The test is Student's on the mean of differences. It takes them to be about normal,
which few seeds cannot show. Wilcoxon's signed ranks would not, but cannot fall below p = 2 / 2^n with n pairs: 0.06
with five, whatever the runs come to.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.05  # how often chance alone may pass for an effect, over a whole comparison
POWER_FACTOR = 7.85  # (1.960 + 0.842)^2: five percent of false alarms, and four of five effects found


@dataclass(frozen=True)
class Difference:
    """Losses with a change less those without, seed by seed.

    Args:
        values: One per seed.
        mean: Of them.
        low, high: 95% interval of the mean; infinite for one pair.
        p: How often chance alone would make as large a mean, two-sided; 1 for one pair.
    """

    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    p: float

    @property
    def pairs_needed(self) -> int | None:
        """Pairs with which a mean as large as this one would be told from chance four times in five.

        From the normal distribution, two more for the spread being estimated. None where it would take no end.
        """
        if len(self.values) < 2 or self.mean == 0:
            return None
        ratio = statistics.stdev(self.values) / self.mean
        return math.ceil(POWER_FACTOR * ratio * ratio) + 2


def paired_difference(losses: Sequence[float], first: Sequence[float]) -> Difference:
    """Compare two lists of losses, whose n-th entries are of one seed.

    Args:
        losses: With the change.
        first: Without it, as many.
    """
    from scipy.stats import t as student

    values = tuple(loss - other for loss, other in zip(losses, first, strict=True))
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Difference(values, mean, -math.inf, math.inf, 1.0)
    error = statistics.stdev(values) / math.sqrt(len(values))
    freedom = len(values) - 1
    if error == 0:
        return Difference(values, mean, mean, mean, 1.0 if mean == 0 else 0.0)
    half = float(student.ppf(0.975, freedom)) * error
    return Difference(values, mean, mean - half, mean + half, float(2 * student.sf(abs(mean) / error, freedom)))


def holm(chances: Sequence[float]) -> list[float]:
    """Adjust p values for having asked several questions: Holm 1979, https://www.jstor.org/stable/4615733.

    With all below 0.05 that are found so, one false alarm or more comes up in at most 5% of comparisons.

    Returns:
        Adjusted values, in the order given.
    """
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    adjusted, least = [0.0] * len(chances), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(chances) - rank) * chances[place]))
        adjusted[place] = least
    return adjusted
