"""Every mistake about a schedule is one line before torch is imported, and a length takes any unit."""

import json

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.batch import tokens_per_update
from hf_strategies.errors import UserError


def parse(*argv: str):
    return parse_arguments(argv, description="A test.", default_recipe="pretrain")


def line_of(*argv: str) -> str:
    with pytest.raises(UserError) as caught:
        parse(*argv)
    (line,) = str(caught.value).splitlines()
    return line


PHASES = json.dumps({"phases": [{"scheduler": "constant", "num_steps": 0.5}, {"scheduler": "linear"}]})


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--warmup_steps", "2 parsecs"], '"2M tokens" or "3 epochs", got \'2 parsecs\''),
        (["--warmup_steps", "2M tokens"], "'2M tokens' is 977 updates: longer than the run's 400"),
        (["--warmup_steps", "500"], "--warmup_steps: warmup_steps must be a whole number of updates in [0, 400]"),
        (["--warmup_steps", "-1"], "warmup_steps must be a whole number of updates in [0, 400]"),
        (["--warmup_steps", "500", "--scheduler_kwargs", "warmup_shape=cosine"], "in [0, 400]"),
        (["--warmup_steps", "-1", "--max_steps", "-1", "--num_train_epochs", "2"], "a whole number of updates >= 0"),
        (
            ["--lr_scheduler_type", "cosine", "--warmup_steps", "2M tokens"],
            "warmup_steps of '2M tokens' is 977 updates",
        ),
        (["--lr_scheduler_type", "cosine", "--warmup_steps", "500"], "warmup_steps must be a whole number"),
        (
            ["--scheduler", "warmup_stable_decay", "--scheduler_kwargs", "num_decay_steps=500"],
            "num_decay_steps must be a whole number of updates in [0, 400]",
        ),
        (
            ["--scheduler", "warmup_stable_decay", "--scheduler_kwargs", "num_decay_steps=1M tokens"],
            "num_decay_steps of '1M tokens' is 488 updates: longer than the run's 400",
        ),
        (
            ["--scheduler", "warmup_stable_decay", "--scheduler_kwargs", "num_decay_steps=390"],
            "num_warmup_steps 20 + num_decay_steps 390 do not fit in the run's 400 updates",
        ),
        (["--scheduler", "one_cycle", "--warmup_steps", "5"], "takes no warmup, got 5 updates: set num_rise_steps"),
        (["--scheduler", "noam"], "num_rise_steps (not given: its default) must be a whole number"),
        (["--scheduler", "sequence", "--scheduler_kwargs", PHASES, "--warmup_steps", "5"], "of a phase"),
        (["--scheduler", "sequence", "--scheduler_kwargs", '{"phases": 3}'], "phases must be a list of phases, got 3"),
        (["--scheduler", "step"], "'step' needs step_size"),
        (["--scheduler", "reduce_on_plateau", "--eval_strategy", "no"], "set eval_strategy to steps or epoch"),
        (["--scheduler", "reduce_on_plateau", "--warmup_steps", "5"], "takes no warmup"),
        (["--metric_for_best_model", "eval_los"], "unknown metric 'eval_los', did you mean 'loss'"),
        (["--metric_for_best_model", "perplexity", "--greater_is_better", "true"], "are better when lower, got true"),
        (["--scheduler_kwargs", "warmup_shape=cosinus"], "warmup_shape must be one of linear, cosine, exponential"),
        (["--hyperparameter_curves", '{"wieght_decay": {"scheduler": "linear"}}'], "did you mean 'weight_decay'"),
        (
            ["--hyperparameter_curves", '{"weight_decay": "linear"}'],
            "must be a mapping with a scheduler, got 'linear'",
        ),
        (
            ["--hyperparameter_curves", '{"weight_decay": {"scheduler": "constant", "num_warmup_steps": 401}}'],
            "num_warmup_steps must be a whole number of updates in [0, 400]",
        ),
        (
            ["--hyperparameter_curves", '{"scaling": {"scheduler": "linear"}}'],
            "no hyperparameter 'scaling' (known: beta1, beta2, momentum, weight_decay)",
        ),
        (["--hyperparameter_curves", '{"adamw_lr": {"scheduler": "linear"}}'], "no hyperparameter 'adamw_lr'"),
        (["--scheduler_kwargs", "num_warmup_steps=5"], "no setting 'num_warmup_steps': set warmup_steps"),
    ],
)
def test_a_mistake_is_one_line(argv, complaint):
    assert complaint in line_of(*argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["--warmup_steps", "0.2M tokens"],
        ["--warmup_steps", "2 epochs"],  # the data will tell
        ["--warmup_steps", "2M tokens", "--max_steps", "-1", "--num_train_epochs", "5"],
        ["--scheduler_kwargs", "warmup_shape=cosine,warmup_start=0.1"],
        ["--scheduler", "step", "--scheduler_kwargs", "step_size=30 epochs"],
        ["--scheduler", "multistep", "--scheduler_kwargs", "milestones=[100, 0.5, 2 epochs]"],
        ["--scheduler", "sequence", "--scheduler_kwargs", PHASES],
        [
            "--scheduler",
            "reduce_on_plateau",
            "--scheduler_kwargs",
            "patience=2",
            "--metric_for_best_model",
            "eval_loss",
        ],
        ["--hyperparameter_curves", '{"momentum": {"scheduler": "one_cycle", "at_zero": 0.8, "at_one": 0.9}}'],
        ["--scheduler", "power", "--scheduler_kwargs", "num_plateau_steps=0.1,num_decay_steps=0.1"],
    ],
    ids=" ".join,
)
def test_what_can_be_is_accepted(argv):
    assert parse(*argv).strategy


def test_the_tokens_of_an_update_follow_from_the_settings():
    assert tokens_per_update(parse().values) == 2048
    assert tokens_per_update(parse("--global_batch_size", "64").values) == 64 * 256
    assert tokens_per_update(parse("--gradient_accumulation_steps", "4").values) == 4 * 8 * 256
    assert tokens_per_update(parse("--max_seq_length", "none").values) is None


@pytest.mark.parametrize(
    ("argv", "where"),
    [
        (["--scheduler", "step", "--warmup_steps", "5"], "--scheduler: scheduler 'step' needs step_size"),
        (
            ["--scheduler", "one_cycle", "--scheduler_kwargs", "anneal=linear", "--warmup_steps", "5"],
            "--warmup_steps: ",
        ),
        (["--scheduler_kwargs", "warmup_shape=exponential"], "--scheduler_kwargs: an exponential warmup needs"),
    ],
)
def test_a_mistake_is_told_where_it_stands(argv, where):
    assert line_of(*argv).startswith(where)


@pytest.mark.parametrize(
    ("curve", "flags", "got"),
    [
        ({"at_one": 200}, [], "got 200 times a learning rate of 0.012"),
        ({"at_zero": 200}, [], "got 200 times a learning rate of 0.012"),
        ({"scheduler": "cosine"}, ["--weight_decay", "0"], None),
        ({"at_one": 80}, [], None),  # 0.96 of a weight
        ({"at_one": 2}, ["--optimizer", "adamw", "--optimizer_kwargs", "decay=independent"], "got 2"),
    ],
)
def test_a_curve_that_would_decay_all_of_a_weight_is_refused(curve, flags, got):
    written = json.dumps({"weight_decay": {"scheduler": "linear", **curve}})
    if got is None:
        parse("--hyperparameter_curves", written, *flags)
        return
    line = line_of("--hyperparameter_curves", written, *flags)
    assert line.startswith("--hyperparameter_curves: weight_decay must take less than all of a weight in a step")
    assert line.endswith(got)


def test_a_rate_that_is_out_of_range_is_one_mistake():
    assert line_of("--learning_rate", "20") == "--learning_rate: learning_rate must be above 0 and at most 10, got 20"
