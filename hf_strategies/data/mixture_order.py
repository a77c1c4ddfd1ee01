"""In which order a mixture takes its sources: a function of the position, exact in its proportions at any length."""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple


class Phase(NamedTuple):
    """Weights from a sample of the run on; each in [0, 1], and 1 in all. `[sources]`"""

    begin: int
    weights: tuple[Fraction, ...]


class MixtureOrder:
    """Deals the positions of a run to sources, without drawing anything and without a state.

    A source's share is split off from what the ones before it have left: of m positions that reach a split with share
    a, round(m a) go to the source. So every prefix of a phase has each source's share to within a sample or two (a
    fifth of their number where there are very many), and the place of any position follows at once. Samples are blocks
    of one length, which makes shares of samples shares of tokens.

    Args:
        phases: By their beginnings, the first of which is 0.
    """

    def __init__(self, phases: Sequence[Phase]) -> None:
        self.begins = [phase.begin for phase in phases]
        self.shares = [_shares_of_rest(phase.weights) for phase in phases]
        self.dealt = [[0] * len(phases[0].weights)]  # to each source, before each phase
        for (phase, following), shares in zip(pairwise(phases), self.shares):
            counts = _counts(following.begin - phase.begin, shares)
            self.dealt.append([before + count for before, count in zip(self.dealt[-1], counts, strict=True)])

    def place(self, position: int) -> tuple[int, int]:
        """Return which source a position takes, and how many samples that source gave before it."""
        phase = bisect_right(self.begins, position) - 1
        left = position - self.begins[phase]
        for source, share in enumerate(self.shares[phase]):
            before = _rounded(left, share)
            if _rounded(left + 1, share) > before:
                return source, self.dealt[phase][source] + before
            left -= before
        raise AssertionError("the last source takes all that is left")

    def counts(self, num_samples: int) -> list[int]:
        """Count how many of the first samples of a run each source gives."""
        phase = max(bisect_right(self.begins, num_samples) - 1, 0)
        counts = _counts(num_samples - self.begins[phase], self.shares[phase])
        return [before + count for before, count in zip(self.dealt[phase], counts, strict=True)]


def _shares_of_rest(weights: Sequence[Fraction]) -> list[Fraction]:
    """Turn shares of the whole into shares of what the sources before have left; that of the last one is 1."""
    shares, rest = [], Fraction(1)
    for weight in weights:
        shares.append(weight / rest if rest else Fraction(0))
        rest -= weight
    return shares


def _counts(left: int, shares: Sequence[Fraction]) -> list[int]:
    counts = []
    for share in shares:
        counts.append(_rounded(left, share))
        left -= counts[-1]
    return counts


def _rounded(number: int, share: Fraction) -> int:
    """Round number * share to the nearest whole number, halves up."""
    return (2 * number * share.numerator + share.denominator) // (2 * share.denominator)
