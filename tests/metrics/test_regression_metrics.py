import numpy as np
import pytest
from scipy import stats

from hf_strategies.errors import UserError
from hf_strategies.metrics.regression import mean_absolute_error, mean_squared_error, pearson, spearman


@pytest.fixture
def lines():
    draw = np.random.default_rng(0)
    true = draw.normal(size=100).round(1)  # some of them equal
    return true + draw.normal(size=100), true


def test_correlations_are_those_of_scipy(lines):
    assert pearson(*lines) == pytest.approx(stats.pearsonr(*lines).statistic)
    assert spearman(*lines) == pytest.approx(stats.spearmanr(*lines).statistic)


def test_a_head_of_one_output_is_a_column(lines):
    predicted, true = lines
    for metric in (pearson, spearman, mean_absolute_error, mean_squared_error):
        assert metric(predicted[:, None], true) == metric(predicted, true)


def test_minus_a_hundred_is_a_number_here():
    assert mean_absolute_error([-99.0, 0.0], [-100, 0]) == 0.5


@pytest.mark.parametrize("metric", [pearson, spearman])
def test_predictions_that_are_all_the_same_say_nothing(metric):
    assert metric([2.0, 2.0, 2.0], [0.0, 1.0, 2.0]) == 0.0
    with pytest.raises(UserError, match="every one of 3 is 2: a correlation needs two that differ"):
        metric([0.0, 1.0, 2.0], [2.0, 2.0, 2.0])


def test_several_numbers_per_row_are_refused():
    with pytest.raises(UserError, match=r"expected one number per row, got shape \[2, 2\]"):
        mean_squared_error(np.zeros((2, 2)), np.zeros((2, 2)))
