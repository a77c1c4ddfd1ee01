import subprocess
import sys

import numpy as np
import pytest

from hf_strategies.errors import UserError
from hf_strategies.metrics import compute_metrics


def test_several_metrics_come_by_their_names_from_one_set_of_scores():
    scores, true = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 2.0, 1.0]]), [0, 1, 2]
    assert compute_metrics(["accuracy", "top_k_accuracy", "f1_macro"], scores, true, k=2) == {
        "accuracy": pytest.approx(1 / 3),
        "top_k_accuracy": 1.0,
        "f1_macro": pytest.approx((1 + 0 + 0) / 3),
    }


def test_rows_that_trainer_has_padded_count_for_nothing():
    """Two batches of token scores, 3 and 2 tokens long, gathered into one array as the host pads it."""
    scores = np.full((2, 3, 2), -100.0)
    scores[0], scores[1, :2] = [[0, 1], [0, 1], [1, 0]], [[1, 0], [1, 0]]
    true = np.array([[1, 0, 0], [0, 0, -100]])
    assert compute_metrics(["accuracy"], scores, true) == {"accuracy": 4 / 5}
    assert compute_metrics(["accuracy"], scores.argmax(-1), true) == {"accuracy": 4 / 5}
    scores[1, 2] = np.nan
    assert compute_metrics(["accuracy", "f1"], scores, true) == {"accuracy": 4 / 5, "f1": pytest.approx(2 / 3)}


def test_a_setting_goes_to_the_metrics_that_have_it_and_a_strange_one_is_refused():
    texts = (["The cat sat on a mat"], ["cat sat on a mat"])
    computed = compute_metrics(["exact_match", "rouge1"], *texts, normalize=True)
    assert computed["exact_match"] == 1.0
    assert computed["rouge1"] < 1.0
    with pytest.raises(UserError, match="exact_match: no setting 'normalise', did you mean 'normalize'"):
        compute_metrics(["exact_match"], *texts, normalise=True)
    with pytest.raises(UserError, match=r"accuracy: no setting 'k'$"):
        compute_metrics(["accuracy"], [0], [0], k=3)


def test_an_unknown_name_is_answered():
    with pytest.raises(UserError, match="unknown metric 'acuracy', did you mean 'accuracy'"):
        compute_metrics(["acuracy"], [0], [0])


@pytest.mark.parametrize(
    ("name", "predictions", "references", "complaint"),
    [
        ("accuracy", [0.9], [1], r"predictions: expected a class, got 0.9 in row 0 \(1 such of 1\)"),
        ("accuracy", [0, 1], [1], r"predictions: shape \[2\], where references have \[1\]"),
        ("accuracy", [[0], [1, 2]], [[0], [1, 2]], "expected numbers in rows of one length, got rows of several"),
        ("accuracy", [0], [-100], "every label is -100"),
        ("accuracy", [3], ["a"], "predictions: expected names, got 3"),
        ("accuracy", ["a"], [3], "predictions: expected numbers, got "),
        ("accuracy", [[0.5, 0.5]] * 2, [0, 2], "expected a class that has a score, 0 to 1, got 2 in row 1"),
        ("top_k_accuracy", [0, 1], [0, 1], r"expected a score for each class, \[2\] x classes, got \[2\]"),
        ("subset_accuracy", [[0.7, 0]], [[1, 0]], r"expected 0 or 1 for each label .*, got 0.7 in row 0"),
        ("subset_accuracy", [0, 1], [0, 1], r"expected 0 or 1 for each label of each row, got shape \[2\]"),
    ],
)
def test_what_does_not_fit_is_said(name, predictions, references, complaint):
    with pytest.raises(UserError, match=complaint):
        compute_metrics([name], predictions, references)


def test_the_shelf_is_read_without_torch():
    code = "import sys; from hf_strategies.metrics import METRICS; assert not {'torch', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
