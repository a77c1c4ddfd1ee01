"""Optimizers of libraries, clipping and sharpness-aware steps, as a command line asks for them."""

import subprocess
import sys

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.errors import UserError


def parse(*argv: str):
    return parse_arguments(argv, description="A test.", default_recipe="pretrain")


def line_of(*argv: str) -> str:
    with pytest.raises(UserError) as caught:
        parse(*argv)
    return str(caught.value)


def test_another_way_to_clip_replaces_the_recipes_and_says_so():
    arguments = parse("--clip_grad_value", "0.5")
    assert arguments.strategy.clip_grad_value == 0.5
    assert "max_grad_norm" not in arguments.training
    assert any(
        "clip_grad_value (--clip_grad_value) replaces max_grad_norm (recipe" in note for note in arguments.notes
    )


@pytest.mark.parametrize(
    "pair",
    [
        ("--clip_grad_value", "--max_grad_norm"),
        ("--adaptive_clipping", "--max_grad_norm"),
        ("--clip_grad_value", "--adaptive_clipping"),
    ],
)
def test_a_run_clips_in_one_way(pair):
    first, second = pair
    expected = f"{first}: {first[2:]} and {second[2:]} cannot both be given; choose one"
    assert line_of(first, "0.5", second, "0.5") == expected


def test_a_norm_of_zero_is_no_second_way():
    assert parse("--clip_grad_value", "0.5", "--max_grad_norm", "0").training["max_grad_norm"] == 0


def test_absurd_values_are_refused_all_at_once():
    assert line_of("--adaptive_clipping", "-1", "--sam_rho", "0").splitlines() == [
        "--adaptive_clipping: adaptive_clipping must be above 0, and finite, got -1",
        "--sam_rho: sam_rho must be a number above 0 and at most 10, got 0",
    ]
    assert "at most 10, got 1e+308" in line_of("--sam_rho", "1e308")


@pytest.mark.parametrize("schedule", [("--scheduler", "cosine"), ("--lr_scheduler_type", "cosine")])
def test_an_averaging_optimizer_refuses_a_schedule_that_falls(schedule):
    expected = "optimizer schedule_free_adamw averages instead of decaying: set scheduler to constant, got"
    assert line_of("--optimizer", "schedule_free_adamw", *schedule) == f"{schedule[0]}: {expected} cosine"
    assert f"{expected} linear" in line_of("--optimizer", "schedule_free_adamw")  # the recipe's
    parse("--optimizer", "schedule_free_adamw", "--scheduler", "constant")
    parse("--optimizer", "schedule_free_adamw", "--lr_scheduler_type", "constant_with_warmup")


def test_a_library_is_named_with_its_optimizer():
    assert parse("--optimizer", "pytorch_optimizer:Adan").strategy.optimizer == "pytorch_optimizer:Adan"
    assert "did you mean 'pytorch_optimizer:NAME'" in line_of("--optimizer", "pytorch_optimzer:Adan")
    assert "unknown optimizer 'pytorch_optimizer:'" in line_of("--optimizer", "pytorch_optimizer:")


def test_a_missing_package_is_named_with_the_line_that_installs_it():
    program = (
        "import sys; sys.modules['schedulefree'] = None\n"  # what Python finds where nothing is installed
        "from hf_strategies.arguments import parse_arguments\n"
        "argv = ['--optimizer', 'schedule_free_adamw', '--scheduler', 'constant']\n"
        "parse_arguments(argv, description='A test.', default_recipe='pretrain')"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.stderr.splitlines()[-1].endswith(
        "--optimizer: optimizer 'schedule_free_adamw' needs the package schedulefree: "
        "pip install 'hf_strategies[optimizers]'"
    )


def test_the_hosts_optimizers_are_chosen_by_optim_and_not_beside_ours():
    arguments = parse("--optim", "adafactor")
    assert (arguments.training["optim"], arguments.strategy.optimizer) == ("adafactor", None)
    assert line_of("--optim", "adafactor", "--optimizer", "lion") == (
        "--optimizer: optimizer and optim cannot both be given; choose one"
    )


@pytest.mark.parametrize(
    ("flags", "got"),
    [
        (["--weight_decay", "100", "--learning_rate", "1e-2"], "100 times a learning rate of 0.01"),
        (["--weight_decay", "1e5", "--optim", "adamw_torch"], "100000 times a learning rate of "),
        (["--weight_decay", "1", "--optimizer", "adamw", "--optimizer_kwargs", "decay=independent"], "1"),
    ],
)
def test_a_decay_that_would_turn_the_sign_of_a_weight_is_refused(flags, got):
    complaint = "--weight_decay: weight_decay must take less than all of a weight in a step, got"
    assert line_of(*flags).startswith(f"{complaint} {got}")


def test_a_decay_below_that_is_admitted_whatever_it_is_relative_to():
    parse("--weight_decay", "99", "--learning_rate", "1e-2")
    independent = ["--optimizer", "adamw", "--optimizer_kwargs", "decay=independent"]
    parse("--weight_decay", "0.9", "--learning_rate", "5", *independent)


def test_what_a_family_is_given_by_the_run_cannot_be_set_behind_its_back():
    pytest.importorskip("pytorch_optimizer")
    assert line_of("--optimizer", "pytorch_optimizer:Adan", "--optimizer_kwargs", "lr=0.5") == (
        "--optimizer_kwargs: optimizer 'pytorch_optimizer:Adan' has no setting 'lr' of its own: "
        "set the run's learning_rate"
    )
