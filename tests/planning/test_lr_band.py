import math
import random

import pytest

from hf_strategies.planning.lr_band import RangeTest, find_band, has_diverged, rising_rates


def valley(low: float, turn: float, *, count: int = 61) -> RangeTest:
    """A loss that falls along a logistic curve whose steepest place is `low`, and rises again from `turn` on."""
    rates = rising_rates(1e-6, 1.0, count)
    fall = [4.0 / (1.0 + (rate / low) ** 1.5) for rate in rates]
    rise = [max(0.0, 8.0 * math.log10(rate / turn)) for rate in rates]
    return RangeTest(tuple(rates), tuple(down + up for down, up in zip(fall, rise)))


def test_rates_rise_by_equal_factors():
    assert rising_rates(1e-4, 1.0, 5) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])


def test_a_valley_is_read_where_it_was_made():
    test = valley(1e-3, 1e-1)  # ten updates to a decade; means reach two updates to either side
    assert math.log10(test.steepest) == pytest.approx(-3.0, abs=0.1)
    assert math.log10(test.minimum) == pytest.approx(-1.0, abs=0.2 + 1e-9)


def test_smoothing_does_not_move_a_minimum():
    rates = rising_rates(1e-6, 1.0, 121)
    losses = [abs(math.log10(rate) + 2.0) for rate in rates]  # a symmetric notch at 0.01
    assert RangeTest(tuple(rates), tuple(losses)).minimum == pytest.approx(1e-2)


def test_a_rise_that_is_steeper_than_the_fall_is_not_taken_for_it():
    rates = rising_rates(1e-6, 1.0, 61)
    losses = [3.0 - 0.01 * place if place < 50 else 20.0 - 0.5 * (place - 50) for place in range(61)]
    assert RangeTest(tuple(rates), tuple(losses)).steepest <= rates[50]


def test_the_band_is_the_median_over_the_seeds_with_its_extremes():
    tests = [valley(low, turn) for low, turn in ((1e-4, 1e-2), (1e-3, 1e-1), (3e-3, 2e-1))]
    band = find_band(tests)
    assert band.low == pytest.approx(tests[1].steepest)
    assert band.high == pytest.approx(tests[1].minimum / 2)
    assert (band.lowest, band.highest) == pytest.approx((tests[0].steepest, tests[2].minimum / 2))


def test_a_loss_that_is_lowest_where_it_is_steepest_gives_no_inverted_band():
    rates = rising_rates(1e-6, 1.0, 61)
    cliff = RangeTest(tuple(rates), tuple([3.0] * 40 + [1.0]))
    band = find_band([cliff])
    assert band.low <= band.high


WARM = [3.9, 4.1] * 10  # 3 deviations above their mean: 4.3


@pytest.mark.parametrize(
    ("losses", "over"),
    [
        ([4.0, 3.0, 2.0, 3.5, 3.5, 3.5, 3.5], False),  # back where it was is no divergence
        ([4.0, 3.0, 4.4, 4.4], False),
        ([4.0, 3.0, 4.4, 4.4, 4.4], True),
        ([4.0, 3.0, 4.4, 9.0, 4.2, 9.0, 9.0], False),  # wild batches, and one between them that is not
        ([4.0, math.nan], True),
    ],
)
def test_a_test_is_over_once_three_losses_in_a_row_stand_above_those_of_the_lowest_rate_or_one_is_no_number(
    losses, over
):
    assert has_diverged(WARM, losses) is over


def test_without_a_warm_up_the_first_losses_of_the_rise_are_what_others_are_compared_with():
    calm = [3.9, 4.1] * 5
    assert not has_diverged([], [*calm, 9.0, 9.0])
    assert has_diverged([], [*calm, 9.0, 9.0, 9.0])


@pytest.mark.parametrize("num_warm", [0, 50])
def test_noise_is_no_divergence(num_warm):
    chance = random.Random(0)
    for _ in range(50):
        losses = [chance.gauss(4.0, 0.3 * 4.0) for _ in range(num_warm + 100)]
        warm, rise = losses[:num_warm], losses[num_warm:]
        assert not any(has_diverged(warm, rise[: place + 1]) for place in range(len(rise)))


def test_the_minimum_of_noise_is_no_likelier_at_the_ends_of_the_range():
    chance, rates = random.Random(0), tuple(rising_rates(1e-6, 1.0, 100))
    tests = [RangeTest(rates, tuple(chance.gauss(4.0, 0.1) for _ in rates)) for _ in range(300)]
    at_the_ends = sum(test.minimum in (*rates[:2], *rates[-2:]) for test in tests)
    assert at_the_ends == 0  # means of one loss or three vary more than those of five, and would win a third of them


def test_a_loss_that_still_falls_at_the_highest_rate_leaves_the_band_open_above():
    test = valley(1e-3, 1e3)
    assert (test.ends_too_low, test.begins_too_high) == (True, False)
    band = find_band([test])
    assert (band.open_below, band.open_above) == (False, True)
    assert band.describe() == f"{band.low:.2g} to {band.high:.2g} or more"


def test_a_loss_that_rises_from_the_lowest_rate_on_leaves_the_band_open_below():
    test = valley(1e-8, 1e-6)
    assert (test.ends_too_low, test.begins_too_high) == (False, True)
    assert find_band([test]).describe() == f"{test.minimum:.2g} or less to {test.minimum:.2g}"


def test_a_band_is_open_where_most_seeds_are():
    closed, above = valley(1e-3, 1e-1), valley(1e-3, 1e3)
    assert not find_band([closed, closed, above]).open_above
    assert find_band([closed, above, above]).open_above


def test_a_test_that_was_given_up_has_seen_its_loss_rise():
    test = valley(1e-3, 1e3)
    given_up = RangeTest(test.rates, (*test.losses[:50], math.nan))
    assert not given_up.ends_too_low


def test_losses_that_are_no_numbers_end_the_course():
    test = RangeTest(tuple(rising_rates(1e-6, 1.0, 10)), (3.0, 2.0, 1.0, math.nan))
    assert len(test.smoothed()) == 3
    assert test.minimum == test.rates[1]  # the only one with a loss on either side


def test_one_finite_loss_is_enough_for_a_band_that_is_open():
    band = find_band([RangeTest(tuple(rising_rates(1.0, 10.0, 10)), (3.0, math.nan))])
    assert (band.low, band.high, band.open_below) == (1.0, 1.0, True)
