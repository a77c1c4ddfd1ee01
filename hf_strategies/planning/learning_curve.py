"""How errors fall as data grow: a power law that ends on a floor, and what it foretells.

error(n) = floor + scale * n^-exponent, as in Hestness et al. 2017 (https://arxiv.org/abs/1712.00409, section 3). For a
given exponent the other two are a least-squares fit with no negative numbers, so a scan over exponents finds the best
fit there is. Few sizes leave much open: what is foretold comes with the spread over fits to errors that are as likely.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EXPONENTS = np.linspace(0.05, 1.5, 30)
FEWEST_SIZES = 3  # that three numbers can be fitted to


@dataclass(frozen=True)
class Curve:
    """A fitted curve.

    Args:
        floor: Error that no amount of data removes.
        scale: Error above it at the largest size that was seen.
        exponent: How fast that falls.
        seen: Largest size that was seen.
    """

    floor: float
    scale: float
    exponent: float
    seen: float

    def error(self, size: float) -> float:
        """Return the error at a size, at most 1."""
        return float(min(1.0, self.floor + self.scale * (size / self.seen) ** -self.exponent))


def fit_curve(sizes: Sequence[float], errors: Sequence[float], deviations: Sequence[float]) -> Curve:
    """Fit errors, each weighed by how sure it is.

    Args:
        sizes: Examples trained on.
        errors: Shares of wrong answers, in [0, 1].
        deviations: Standard errors of these, above 0.
    """
    from scipy.optimize import nnls

    seen, wanted = max(sizes), np.asarray(errors) / np.asarray(deviations)
    shares = np.asarray(sizes) / seen
    fits = []
    for exponent in EXPONENTS:
        terms = np.stack([np.ones_like(shares), shares**-exponent], axis=1) / np.asarray(deviations)[:, None]
        (floor, scale), misfit = nnls(terms, wanted)
        fits.append((misfit, float(floor), float(scale), float(exponent)))
    _, floor, scale, exponent = min(fits)
    return Curve(floor, scale, exponent, seen)


def foretell(
    sizes: Sequence[float],
    errors: Sequence[float],
    deviations: Sequence[float],
    targets: Sequence[float],
    *,
    draws: int,
    seed: int,
) -> np.ndarray:
    """Foretell errors at other sizes, from fits to errors that are as likely as those that were seen.

    Args:
        sizes: Examples trained on, three sizes or more.
        errors: Shares of wrong answers.
        deviations: Standard errors of these, above 0.
        targets: Sizes to foretell.
        draws: Fits.
        seed: Of the draws.

    Returns:
        Errors `[draws, targets]`.
    """
    chance = np.random.default_rng(seed)
    told = []
    for _ in range(draws):
        likely = np.clip(np.asarray(errors) + np.asarray(deviations) * chance.normal(size=len(errors)), 0.0, 1.0)
        curve = fit_curve(sizes, likely.tolist(), deviations)
        told.append([curve.error(target) for target in targets])
    return np.asarray(told)
