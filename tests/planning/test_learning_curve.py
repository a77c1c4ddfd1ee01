import numpy as np
import pytest

from hf_strategies.planning.learning_curve import fit_curve, foretell

SIZES = [100, 200, 400, 800]
SURE = [0.001] * 4


def power_law(floor: float, scale: float, exponent: float) -> list[float]:
    return [floor + scale * (size / 800) ** -exponent for size in SIZES]


@pytest.mark.parametrize(("floor", "scale", "exponent"), [(0.1, 0.2, 0.5), (0.0, 0.1, 0.3), (0.3, 0.05, 1.0)])
def test_an_exact_power_law_is_found_again(floor, scale, exponent):
    curve = fit_curve(SIZES, power_law(floor, scale, exponent), SURE)
    assert (curve.floor, curve.scale, curve.exponent) == pytest.approx((floor, scale, exponent), abs=1e-6)
    assert curve.error(8000) == pytest.approx(floor + scale * 10**-exponent)


def test_errors_that_do_not_fall_stay_where_they_are():
    curve = fit_curve(SIZES, [0.5, 0.5, 0.5, 0.5], SURE)
    assert curve.error(8000) == pytest.approx(0.5)


def test_errors_that_rise_are_not_made_to_fall_below_their_mean():
    curve = fit_curve(SIZES, [0.4, 0.45, 0.5, 0.55], SURE)
    assert curve.error(8000) == pytest.approx(0.475, abs=0.01)


def test_no_error_is_below_nought_or_above_one():
    assert fit_curve(SIZES, [0.4, 0.2, 0.1, 0.05], SURE).error(1e9) >= 0
    assert fit_curve(SIZES, power_law(0.0, 0.5, 1.0), SURE).error(1) == 1.0


def test_a_sure_error_outweighs_one_that_is_not():
    wild = [0.9, 0.35, 0.3, 0.25]
    trusted = fit_curve(SIZES, wild, SURE).error(100)
    doubted = fit_curve(SIZES, wild, [1.0, *SURE[1:]]).error(100)
    assert abs(trusted - 0.9) < abs(doubted - 0.9)


def test_what_is_foretold_spreads_with_doubt_and_with_distance():
    errors = power_law(0.1, 0.2, 0.5)

    def spread(doubt: float) -> np.ndarray:
        return foretell(SIZES, errors, [doubt] * 4, [800, 8000], draws=60, seed=0).std(axis=0)

    sure, doubtful = spread(0.002), spread(0.02)
    assert (doubtful > 2 * sure).all()
    assert sure[1] > sure[0]
    likely = foretell(SIZES, errors, [0.002] * 4, [8000], draws=60, seed=0)
    low, high = np.quantile(likely, [0.05, 0.95])
    assert low < 0.1 + 0.2 * 10**-0.5 < high
