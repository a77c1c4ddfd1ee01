import numpy as np
import pytest
from sklearn import metrics

from hf_strategies.errors import UserError
from hf_strategies.metrics.classification import (
    accuracy,
    f1,
    f1_macro,
    f1_micro,
    f1_weighted,
    matthews_correlation,
    multilabel_f1_macro,
    multilabel_f1_micro,
    subset_accuracy,
    top_k_accuracy,
)

AVERAGED = {"macro": f1_macro, "micro": f1_micro, "weighted": f1_weighted}
MULTILABEL = {"macro": multilabel_f1_macro, "micro": multilabel_f1_micro}


@pytest.fixture
def scored():
    """Scores of 7 classes for 200 rows, right for about half of them, and the true classes."""
    draw = np.random.default_rng(0)
    true = draw.integers(0, 7, 200)
    return np.eye(7)[true] + draw.normal(size=(200, 7)), true


def test_scores_are_as_good_as_the_classes_they_favour(scored):
    scores, true = scored
    predicted = scores.argmax(axis=1)
    assert 0.3 < accuracy(scores, true) < 0.7
    for metric in (accuracy, matthews_correlation, *AVERAGED.values()):
        assert metric(scores, true) == metric(predicted, true) == metric(predicted.tolist(), true.tolist())


@pytest.mark.parametrize("average", AVERAGED)
def test_averages_are_those_of_scikit_learn(average, scored):
    scores, true = scored
    expected = metrics.f1_score(true, scores.argmax(axis=1), average=average)
    assert AVERAGED[average](scores, true) == pytest.approx(expected)


@pytest.mark.parametrize("average", MULTILABEL)
def test_averages_of_several_labels_are_those_of_scikit_learn(average, scored):
    predicted, true = scored[0] > 0.8, np.eye(7)[scored[1]]
    assert MULTILABEL[average](predicted, true) == pytest.approx(metrics.f1_score(true, predicted, average=average))
    assert subset_accuracy(predicted, true) == pytest.approx(metrics.accuracy_score(true, predicted))


@pytest.mark.parametrize("k", [2, 6])
def test_a_class_is_found_among_the_highest(k, scored):
    scores, true = scored
    expected = np.mean([row in np.argsort(-each)[:k] for each, row in zip(scores, true, strict=True)])
    assert top_k_accuracy(scores, true, k=k) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 7, 2.5, True])
def test_a_k_that_says_nothing_is_refused(k, scored):
    with pytest.raises(UserError, match=r"k must lie in \[2, 6\] with 7 classes, got"):
        top_k_accuracy(*scored, k=k)


def test_f1_looks_for_the_class_that_it_is_told():
    predicted, true = ["ham", "spam", "spam"], ["ham", "spam", "ham"]
    assert f1(predicted, true, positive="spam") == pytest.approx(2 / 3)
    assert f1([1, 0], [1, 0], positive=0) == 1.0
    assert f1([0, 0], [0, 0]) == 0.0  # the class 1 is nowhere
    with pytest.raises(UserError, match="positive = 1 is neither of the classes 'ham' and 'spam'"):
        f1(predicted, true)
    with pytest.raises(UserError, match="f1 is of two classes, got 3: f1_macro"):
        f1([0, 1, 2], [0, 1, 2])


def test_always_the_same_class_is_no_correlation():
    assert matthews_correlation([1, 1, 1], [0, 1, 1]) == 0.0


def test_tags_of_rows_of_any_length_are_compared_one_by_one():
    assert accuracy([["O", "B-PER"], ["O"]], [["O", "O"], ["O"]]) == pytest.approx(2 / 3)
    assert f1_macro([["O", "B-PER"], ["O"]], [["O", "O"], ["O"]]) == pytest.approx((4 / 5 + 0) / 2)
