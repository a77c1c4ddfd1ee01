from pathlib import Path

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.parse import all_settings
from hf_strategies.arguments.settings import settings_of
from hf_strategies.errors import UserError
from hf_strategies.planning.compare_request import parse_compare
from hf_strategies.planning.find_lr_request import FindLROptions
from hf_strategies.planning.rate_pair import NOTE
from hf_strategies.planning.sweep_request import SweepOptions, parse_sweep

VARY = ["--vary", "learning_rate=1e-3,2e-3"]


def job_of(argv: list[str]):
    return parse_arguments(argv, description="", default_recipe="pretrain")


def test_a_trial_has_the_fixed_flags_and_its_own_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.txt"):
        Path(name).write_text("Some text.")
    flags = ["--train_file", "a.txt", "b.txt", "--no_bf16", "--max_steps", "-1", "--num-train-epochs=2"]
    request = parse_sweep(["pretrain", *flags, *VARY, "--vary", "weight_decay=0,0.1"])
    assert len(request.settings) == 4
    job = job_of(request.trial_argv(request.settings[-1], None))
    assert (job.training["learning_rate"], job.training["weight_decay"]) == (2e-3, 0.1)
    assert job.data.train_file == ["a.txt", "b.txt"]
    assert (job.training["bf16"], job.training["max_steps"], job.training["num_train_epochs"]) == (False, -1, 2.0)


def test_parts_of_a_mapping_vary_beside_its_fixed_ones_and_the_recipes():
    request = parse_sweep(["--vary", "optimizer_kwargs.momentum=0.8,0.95", "--optimizer_kwargs", "scaling=spectral"])
    kwargs = job_of(request.trial_argv(request.settings[0], None)).strategy.optimizer_kwargs
    assert kwargs == {"adamw_lr": 3.6e-2, "momentum": 0.8, "scaling": "spectral"}


@pytest.mark.parametrize(("flags", "data_seed"), [([], 42), (["--data_seed", "7"], 7)])
def test_seeds_change_everything_but_the_order_of_the_data(flags, data_seed):
    request = parse_sweep(["--vary", "learning_rate=1e-3", "--seeds", "0,1", *flags])
    jobs = [job_of(request.trial_argv(request.settings[0], seed)) for seed in request.seeds]
    assert [job.training["seed"] for job in jobs] == [0, 1]
    assert {job.training["data_seed"] for job in jobs} == {data_seed}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "expected something to vary"),
        (["--vary"], "--vary: expected a value, got none"),
        ([*VARY, "--vary", "learning_rate=1e-2"], "--vary learning_rate: given twice"),
        ([*VARY, "--learning_rate", "1e-2"], "--learning_rate gives it one value as well"),
        (["--vary", "optimizer_kwargs.momentum=0.9", "--optimizer_kwargs", "momentum=0.8"], "gives it one value"),
        (["--vary", "learning_rate=1e-3,20"], "learning_rate must be above 0 and at most 10, got 20"),
        (["--vary", "optimizer_kwargs.momentm=0.9"], "did you mean 'momentum'"),
        (["--vary", "seed=0,1"], "write --seeds 0,1,2"),
        (["--vary", "output_dir=a,b"], "each trial has a folder"),
        ([*VARY, "--resume_from_checkpoint", "auto"], "each trial resumes by itself"),
        ([*VARY, "--seeds", "0,x"], "expected whole numbers such as 0,1,2, got '0,x'"),
        ([*VARY, "--seeds", "1,1"], "expected different seeds"),
        ([*VARY, "--seeds", "0,1", "--seed", "3"], "--seeds gives every trial its own"),
        ([*VARY, "--trials", "3"], "a grid tries every combination"),
        ([*VARY, "--search", "random"], "--search random needs --trials"),
        ([*VARY, "--search", "random", "--trials", "3"], "--trials: expected at most 2"),
        ([*VARY, "--search", "halving"], "expected one of grid, random, optuna, got 'halving'"),
        ([*VARY, "--search", "optuna", "--trials", "3", "--seeds", "0,1"], "optuna judges a setting by one run"),
        (["--vary", "learning_rate=1e-4..1e-2"], "a grid needs values"),
        (["--vary", "learning_rate=1e-4..20", "--search", "optuna", "--trials", "2"], "at most 10, got 20"),
        ([*VARY, "--parallel", "0"], "--parallel: expected at least 1, got 0"),
        ([*VARY, "--parallel", "two"], "--parallel: expected a whole number, got 'two'"),
        ([*VARY, "pretrain", "b.yaml"], "b.yaml: expected one recipe"),
        ([*VARY, "nowhere.yaml"], "nowhere.yaml: no such file"),
        ([*VARY, "--train_file", "nowhere.txt"], "nowhere.txt: no such file"),
        ([*VARY, "--vary", f"train_file={__file__},nowhere.txt"], "nowhere.txt: no such file"),
        ([*VARY, "--train_file", __file__, "--validation_file", "nowhere.txt"], "nowhere.txt: no such file"),
        (["find_lr", "--min", "1"], "find_lr: for a range test write find-lr first"),
        ([*VARY, "pretrain", "find-lr"], "find-lr: for a range test write find-lr first"),
    ],
)  # fmt: skip
def test_what_cannot_be_swept_is_refused(argv, said):
    with pytest.raises(UserError) as refused:
        parse_sweep(argv)
    assert said in str(refused.value)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(UserError) as refused:
        parse_sweep(["--vary", "learning_rate=x", "--vary", "nothing=1", "--trials", "0", "--max_stps", "3"])
    assert len(str(refused.value).splitlines()) == 5  # --trials is out of range, and has no place in a grid


def test_a_number_of_trials_that_is_none_is_one_mistake():
    with pytest.raises(UserError) as refused:
        parse_sweep([*VARY, "--search", "random", "--trials", "x"])
    assert str(refused.value) == "--trials: expected a whole number, got 'x'"


@pytest.mark.parametrize("options", [SweepOptions, FindLROptions])
def test_no_option_hides_a_setting_of_the_job(options):
    assert {setting.name for setting in settings_of(options)} & set(all_settings()) == {"output_dir"}


@pytest.mark.parametrize(
    ("argv", "second"),
    [
        (["--vary", "learning_rate=6e-3,1.2e-2"], [1.8e-2, 3.6e-2]),  # three times the first, as in the recipe
        (["--vary", "learning_rate=6e-3,1.2e-2", "--optimizer_kwargs", "adamw_lr=1.2e-2"], [6e-3, 1.2e-2]),
        (["--vary", "learning_rate=6e-3,1.2e-2", "--vary", "optimizer_kwargs.adamw_lr=1e-2"], [1e-2, 1e-2]),
        (["--vary", "optimizer_kwargs.momentum=0.8,0.9"], [3.6e-2, 3.6e-2]),
        (["--vary", "optimizer=muon,lion", "--vary", "learning_rate=6e-3"], [1.8e-2, None]),
    ],
)
def test_the_second_rate_keeps_its_ratio_unless_it_varies_too(argv, second):
    request = parse_sweep(argv)
    jobs = [job_of(request.trial_argv(values, None)) for values in request.settings]
    found = [(job.strategy.optimizer_kwargs or {}).get("adamw_lr") for job in jobs]
    assert found == [rate if rate is None else pytest.approx(rate) for rate in second]
    follows = "learning_rate" in argv[-1] or "optimizer_kwargs" in argv[-2]
    assert bool(request.notes) is (follows and "adamw_lr=1e-2" not in argv[-1])
    assert parse_compare(["--vary", "learning_rate=1e-3,2e-3"]).sweep.notes == (NOTE,)
