import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.errors import UserError
from hf_strategies.planning.compare_request import open_comparison, parse_compare, read_seeds

VARY = ["--vary", "optimizer=adamw,muon"]


def test_five_seeds_see_one_order_of_data():
    sweep = parse_compare(VARY).sweep
    jobs = [
        parse_arguments(sweep.trial_argv(values, seed), description="", default_recipe="pretrain").training
        for values in sweep.settings
        for seed in sweep.seeds
    ]
    assert [job["seed"] for job in jobs] == [0, 1, 2, 3, 4] * 2
    assert {job["data_seed"] for job in jobs} == {42}


def test_the_design_is_every_combination_or_one_change_at_a_time():
    vary = [*VARY, "--vary", "scheduler=cosine,linear"]
    pairs = [tuple(values.values()) for values in parse_compare(vary).sweep.settings]
    assert pairs == [("adamw", "cosine"), ("adamw", "linear"), ("muon", "cosine"), ("muon", "linear")]
    pairs = [tuple(values.values()) for values in parse_compare([*vary, "--design", "one_at_a_time"]).sweep.settings]
    assert pairs == [("adamw", "cosine"), ("muon", "cosine"), ("adamw", "linear")]


def test_seeds_are_counted_or_listed():
    assert read_seeds("3") == (0, 1, 2)
    assert read_seeds("4,7") == (4, 7)


def test_the_comparison_that_ships_varies_one_thing_at_a_time():
    request = parse_compare(["compare_architecture"])
    settings = request.sweep.settings
    first = settings[0]
    assert all(sum(values[name] != first[name] for name in first) == 1 for values in settings[1:])
    varied = {name for values in settings[1:] for name in first if values[name] != first[name]}
    assert {"num_hidden_layers", "hidden_size", "num_attention_heads"} < varied
    assert {"architecture_kwargs.norm_position", "architecture_kwargs.positions"} < varied
    assert (request.budget, len(request.sweep.seeds)) == ("tokens", 5)


def test_flags_take_the_places_of_a_files_lines():
    request = parse_compare(["compare_architecture", "--seeds", "2", *VARY])
    assert request.sweep.seeds == (0, 1)
    assert [axis.name for axis in request.sweep.axes] == ["optimizer"]


def test_a_file_of_settings_without_a_comparison_is_the_jobs_own(tmp_path):
    plain, whole = tmp_path / "plain.yaml", tmp_path / "whole.yaml"
    plain.write_text("learning_rate: 1e-3\n")
    assert open_comparison([str(plain), *VARY]) == [str(plain), *VARY]
    whole.write_text("seeds: 2\nbf16: true\nlearning_rate: 2e-3\nvary: {optimizer: [adamw, muon]}\n")
    words = open_comparison([str(whole), "--no_bf16"])
    assert words == ["--seeds=2", "--learning_rate=0.002", "--vary=optimizer=adamw,muon", "--no_bf16"]
    sweep = parse_compare([str(whole), "--max_steps", "7"]).sweep
    assert [job["learning_rate"] for job in [sweep.base.training]] == [2e-3]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "expected something to vary"),
        (["--vary", "optimizer=adamw"], "expected a second value to compare the first with"),
        (["--vary", "learning_rate=1e-4..1e-2"], "expected VALUE,VALUE,..., got a range"),
        (["--vary", "max_steps=100,200"], "every setting has the same budget"),
        ([*VARY, "--seeds", "0"], "expected how many, such as 5, or which, such as 0,1,2, got '0'"),
        ([*VARY, "--seeds", "1,1"], "expected different seeds"),
        ([*VARY, "--seed", "1"], "--seeds gives every trial its own"),
        ([*VARY, "--budget", "hours"], "expected one of tokens, seconds, got 'hours'"),
        ([*VARY, "--budget", "seconds", "--max_steps", "3"], "max_steps of at least 4"),
        ([*VARY, "--budget", "seconds", "--num_train_epochs", "1"], "a run whose length is given in epochs"),
        ([*VARY, "--budget", "seconds", "--parallel", "2"], "take time from each other"),
        (["--vary", "optimizer=adamw,moun"], "did you mean 'muon'"),
        (["compare_architectur"], "did you mean 'compare_architecture'"),
        (["nowhere.yaml", *VARY], "nowhere.yaml: no such file"),
    ],
)
def test_mistakes_are_told(argv, said):
    with pytest.raises(UserError) as refused:
        parse_compare(argv)
    assert said in str(refused.value)


def test_what_a_file_varies_is_written_as_lists(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("learning_rate: 1e-3\nvary: {optimizer: adamw}\n")
    with pytest.raises(UserError, match=r"mine.yaml:2: vary: expected lines of NAME: \[VALUE, VALUE\]"):
        parse_compare([str(path)])
