import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from hf_strategies.errors import UserError
from hf_strategies.objectives.class_imbalance import class_weights, positive_weights

LABELS = np.repeat([0, 1, 2], [70, 25, 5])


def test_inverse_frequencies_are_what_scikit_learn_calls_balanced():
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    assert class_weights(LABELS) == pytest.approx(expected.tolist())


def test_effective_numbers_are_the_papers_up_to_a_factor():
    """Cui et al., equation 2, for beta 0.9: the effective number of n samples is (1 - 0.9^n) / 0.1."""
    papers = [0.1 / (1 - 0.9**count) for count in (70, 25, 5)]
    found = class_weights(LABELS, "effective_number", beta=0.9)
    assert [weight / found[0] for weight in found] == pytest.approx([weight / papers[0] for weight in papers])


@pytest.mark.parametrize(("beta", "as_scheme"), [(0.0, [1.0, 1.0, 1.0]), (1 - 1e-9, None)])
def test_beta_leads_from_equal_weights_to_inverse_frequencies(beta, as_scheme):
    found = class_weights(LABELS, "effective_number", beta=beta)
    assert found == pytest.approx(as_scheme or class_weights(LABELS), rel=1e-5)


@pytest.mark.parametrize("scheme", ["inverse_frequency", "effective_number"])
def test_weights_are_one_on_average_over_the_samples(scheme):
    weights = np.array(class_weights(LABELS, scheme))
    assert weights[LABELS].mean() == pytest.approx(1.0)
    assert weights[0] < weights[1] < weights[2]


def test_tokens_without_a_class_and_classes_without_a_sample_have_no_part():
    tokens = [[0, 0, 0, -100], [2, -100, -100, -100]]
    assert class_weights(tokens, num_classes=4) == pytest.approx([4 / 6, 0.0, 2.0, 0.0])


def test_positive_weights_make_up_for_how_rarely_a_class_is_there():
    flags = [[1, 1, 0], [0, 1, 0], [0, 1, 0], [0, -100, 1]]
    assert positive_weights(flags) == [3.0, 1.0, 3.0]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"scheme": "inverse_frequncy"}, "did you mean 'inverse_frequency'"),
        ({"scheme": "effective_number", "beta": 1.0}, r"beta must be a number in \[0, 1\), got 1.0"),
        ({"labels": [-100, -100]}, "labels that are numbers of classes, got 0 int64"),
        ({"labels": [0.5, 1.0]}, "labels that are numbers of classes, got 2 float64"),
        ({"labels": [0, 3], "num_classes": 3}, "labels must be classes from 0 to 2, got 0 to 3"),
        ({"labels": [-1, 3]}, "labels must be classes from 0, got -1 to 3"),
    ],
)
def test_what_is_no_class_balance_is_refused(given, complaint):
    with pytest.raises(UserError, match=complaint):
        class_weights(**{"labels": LABELS, **given})
