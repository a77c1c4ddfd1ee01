import subprocess
import sys

import pytest

from hf_strategies.errors import UserError
from hf_strategies.optimizers import check_optimizer_settings
from hf_strategies.optimizers.hyperparameters import check_ranges


@pytest.mark.parametrize(
    "hyper",
    [
        {"lr": -1e-3},
        {"lr": float("nan")},
        {"lr": float("inf")},
        {"lr": "fast"},
        {"lr": True},
        {"lr": 10.5},
        {"weight_decay": -0.1},
        {"betas": (0.9, 1.0)},
        {"betas": (0.9,)},
        {"betas": 0.9},
        {"momentum": 1.0},
        {"scaling": "rsm"},
        {"adamw_lr": -1.0},
        {"adamw_lr": 1e6},
        {"eps": True},
        {"betas": (False, 0.9)},
        {"slow_rise_steps": True},
    ],
    ids=str,
)
def test_absurd_values_are_refused_by_name(hyper):
    ((name, _),) = hyper.items()
    with pytest.raises(UserError, match=f"^{name} must be "):
        check_ranges(**hyper)


def test_what_yaml_and_json_can_write_is_accepted():
    check_ranges(lr=0, weight_decay=0.1, betas=[0.9, 0.95], adamw_lr=None, momentum=0)


def test_an_unknown_setting_is_answered_with_the_nearest_one():
    with pytest.raises(UserError, match="'muon' has no setting 'momentm', did you mean 'momentum'"):
        check_optimizer_settings("muon", {"momentm": 0.9})


def test_a_known_setting_is_held_to_its_range():
    expected = r"betas must be two numbers in \[0, 1\) such as \[0.9, 0.95\], got"
    for written in ([0.9, 1], "0.9,0.95"):  # the second as a shell hands it over
        with pytest.raises(UserError, match=expected):
            check_optimizer_settings("adamw", {"betas": written})


@pytest.mark.parametrize("name", ["adamw", "pytorch_optimizer:Adan"])
@pytest.mark.parametrize(
    ("key", "setting"),
    [
        ("lr", "learning_rate"),
        ("weight_decay", "weight_decay"),
        ("param_groups", "param_groups"),
        ("name", "optimizer"),
    ],
)
def test_what_the_run_sets_is_no_setting_of_an_optimizer(name, key, setting):
    if name.startswith("pytorch_optimizer"):
        pytest.importorskip("pytorch_optimizer")
    with pytest.raises(UserError, match=f"{name!r} has no setting {key!r} of its own: set the run's {setting}$"):
        check_optimizer_settings(name, {key: 0.5})


def test_settings_are_checked_without_torch():
    program = (
        "import sys; from hf_strategies.optimizers import check_optimizer_settings\n"
        "check_optimizer_settings('muon', {'momentum': 0.9}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("name", "hyper", "complaint"),
    [
        ("sgd", {"nesterov": True, "momentum": 0}, "momentum must be above 0, got 0"),
        ("schedule_free_adamw", {"betas": [0, 0.9]}, r"the first above 0, got \[0, 0.9\]"),
    ],
)
def test_what_a_builder_would_refuse_is_refused_without_it(name, hyper, complaint):
    pytest.importorskip("schedulefree")
    with pytest.raises(UserError, match=complaint):
        check_optimizer_settings(name, hyper)
    check_optimizer_settings("adamw", {"betas": [0, 0.9]})
