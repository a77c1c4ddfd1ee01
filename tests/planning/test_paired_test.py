import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from hf_strategies.planning.paired_test import holm, paired_difference


def test_a_difference_worked_by_hand():
    # Differences 1, 2, 3: mean 2, deviation 1, standard error 1/sqrt(3), t = 2 sqrt(3) with 2 degrees of freedom,
    # whose distribution is known in closed form: p = 1 - t / sqrt(t^2 + 2). t(0.975, 2) is 4.3027.
    found = paired_difference([4.0, 6.0, 8.0], [3.0, 4.0, 5.0])
    assert found.values == (1.0, 2.0, 3.0)
    assert found.mean == 2.0
    assert (found.low, found.high) == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-4)
    assert found.p == pytest.approx(1 - math.sqrt(12 / 14))
    # (1.960 + 0.842)^2 / 4 is 1.96: two pairs, and two for the spread being estimated.
    assert found.pairs_needed == 4


def test_it_agrees_with_scipy():
    chance = np.random.default_rng(0)
    ours, theirs = chance.normal(3.0, 0.1, 7), chance.normal(3.1, 0.1, 7)
    found, test = paired_difference(ours, theirs), ttest_rel(ours, theirs)
    assert found.p == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval(0.95)))


def test_luck_that_both_share_leaves_the_difference():
    luck = [0.0, 1.0, 2.0, 3.0, 4.0]
    effect = [-0.10, -0.11, -0.09, -0.10, -0.10]
    assert paired_difference([3 + a + b for a, b in zip(luck, effect)], [3 + a for a in luck]).p < 1e-4


def test_one_pair_and_equal_pairs_prove_nothing():
    alone = paired_difference([2.0], [3.0])
    assert (alone.p, alone.low, alone.high, alone.pairs_needed) == (1.0, -math.inf, math.inf, None)
    same = paired_difference([2.0, 3.0], [2.0, 3.0])
    assert (same.p, same.low, same.high, same.pairs_needed) == (1.0, 0.0, 0.0, None)


def test_holm_multiplies_the_smallest_by_all_and_never_falls():
    # 0.01 * 4, then 0.015 * 3, then 0.03 * 2, then 0.04, which may not be below the one before it.
    assert holm([0.03, 0.01, 0.04, 0.015]) == pytest.approx([0.06, 0.04, 0.06, 0.045])
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_false_alarms_of_a_comparison_stay_at_one_in_twenty():
    # Four settings that change nothing, five seeds, five hundred comparisons: without Holm 15% or so would find one.
    chance = np.random.default_rng(0)
    alarms, uncorrected = 0, 0
    for _ in range(500):
        first = chance.normal(size=5)
        chances = [paired_difference(first + chance.normal(size=5), first).p for _ in range(4)]
        alarms += min(holm(chances)) < 0.05
        uncorrected += min(chances) < 0.05
    assert alarms / 500 < 0.075  # 0.05 and two and a half of its standard errors, 0.01
    assert uncorrected / 500 > 0.12
