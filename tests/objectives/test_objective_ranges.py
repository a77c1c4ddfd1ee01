import subprocess
import sys

import pytest

from hf_strategies.errors import UserError
from hf_strategies.objectives import check_objective_settings


@pytest.mark.parametrize(
    ("name", "settings", "complaint"),
    [
        ("crossentropy", {}, "unknown objective 'crossentropy', did you mean 'cross_entropy'"),
        ("focal", {"gama": 2.0}, "objective 'focal' has no setting 'gama', did you mean 'gamma'"),
        ("mean_squared_error", {"delta": 1.0}, r"has no setting 'delta' \(known: none\)"),
        ("focal", {"label_smoothing": 0.1}, r"no setting 'label_smoothing' \(known: gamma, class_weights\)"),
        ("cross_entropy", {"label_smoothing": 1.0}, r"label_smoothing .* must be a number in \[0, 1\), got 1.0"),
        ("cross_entropy", {"class_weights": [1.0, -1.0]}, "class_weights .* must be a list of finite numbers >= 0"),
        ("cross_entropy", {"class_weights": [0, 0]}, "not all 0, got"),
        ("cross_entropy", {"class_weights": []}, "class_weights .* must be a list"),
        ("cross_entropy", {"class_weights": "inverse"}, "class_weights .* must be a list"),
        ("binary_cross_entropy", {"positive_weights": [float("inf")]}, "positive_weights .* must be a list"),
        ("focal", {"gamma": -1}, "gamma .* must be a finite number >= 0, got -1"),
        ("huber", {"delta": 0}, "delta .* must be a number above 0, got 0"),
        ("huber", {"delta": True}, "delta .* must be a number above 0, got True"),
    ],
)
def test_what_no_objective_can_use_is_refused(name, settings, complaint):
    with pytest.raises(UserError, match=complaint):
        check_objective_settings(name, settings)


def test_what_an_objective_takes_is_accepted():
    check_objective_settings("cross_entropy", {"label_smoothing": 0.1, "class_weights": [0.5, 0, 2]})
    check_objective_settings("huber", {"delta": 2})


def test_settings_are_checked_without_torch():
    program = (
        "import sys; from hf_strategies.objectives import check_objective_settings as check; "
        "check('focal', {'gamma': 2.0}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
