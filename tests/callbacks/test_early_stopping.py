"""Early stopping in real runs: when, on what, from where it goes on, and what it asks for."""

import math

import pytest
import torch
from transformers import Trainer, TrainerCallback

from hf_strategies import EarlyStoppingCallback, EventLogCallback, StrategyTrainer
from hf_strategies.callbacks.early_stopping import is_gain
from hf_strategies.errors import UserError
from hf_strategies.reports.events import read_events

EACH_TRAINER = pytest.mark.parametrize("trainer_class", [Trainer, StrategyTrainer])
BEST = {"load_best_model_at_end": True, "metric_for_best_model": "accuracy", "greater_is_better": True}


@pytest.mark.parametrize(
    ("value", "best", "min_gain", "greater", "gain"),
    [
        (0.6, 0.5, 0.0, True, True),
        (0.5, 0.5, 0.0, True, False),
        (0.6, 0.5, 0.2, True, False),
        (0.4, 0.5, 0.0, False, True),
        (0.4, 0.5, 0.2, False, False),
        (0.1, None, 0.5, True, True),
        (math.nan, None, 0.0, True, False),
        (math.nan, 0.5, 0.0, False, False),
    ],
)
def test_a_gain_is_more_than_the_least_that_counts(value, best, min_gain, greater, gain):
    assert is_gain(value, best, min_gain=min_gain, greater_is_better=greater) is gain


class Scores:
    """Reports the accuracies that a test wants, one for each evaluation."""

    def __init__(self, scores):
        self.scores = list(scores)

    def __call__(self, prediction):
        return {"accuracy": self.scores.pop(0), "f1_macro": 0.5}


@pytest.fixture
def build(tiny_lm, token_rows, arguments):
    """Build a trainer that evaluates and saves after each of twelve updates, with the scores that it is told."""
    start = {name: value.clone() for name, value in tiny_lm.state_dict().items()}

    def build(scores, *callbacks, trainer_class=StrategyTrainer, data=None, **changes):
        tiny_lm.load_state_dict(start)
        settings = {"max_steps": 12, "save_strategy": "steps", "save_steps": 1, "eval_strategy": "steps"}
        return trainer_class(
            tiny_lm,
            arguments(**{**settings, "eval_steps": 1, **BEST, **changes}),
            train_dataset=token_rows,
            eval_dataset=token_rows[:4] if data is None else data,
            compute_metrics=Scores(scores),
            callbacks=list(callbacks),
        )

    return build


RISE_AND_FALL = [0.1, 0.3, 0.5, 0.4, 0.5, 0.45, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]


@EACH_TRAINER
def test_it_stops_after_as_many_evaluations_without_a_gain_with_the_best_weights(
    build, tmp_path, capsys, trainer_class
):
    stopping = EarlyStoppingCallback(3, event_log=tmp_path / "events.jsonl")
    events = EventLogCallback(tmp_path / "events.jsonl")
    trainer = build(RISE_AND_FALL, events, stopping, trainer_class=trainer_class)
    trainer.train()
    assert trainer.state.global_step == 6
    assert (stopping.best, stopping.best_step) == (0.5, 3)
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-3")
    said = "eval_accuracy was no better than 0.5 at step 3 in 3 evaluations in a row, now 0.45"
    assert f"early stop at step 6: {said}" in capsys.readouterr().out
    told = [event for event in read_events(events.path) if event["event"] in ("early_stop", "end")]
    assert [(event["event"], event["step"]) for event in told] == [("early_stop", 6), ("end", 6)]
    assert (told[0]["metric"], told[0]["best"], told[0]["best_step"], told[0]["said"]) == (
        "eval_accuracy",
        0.5,
        3,
        said,
    )
    assert "train_loss" in told[1]


@pytest.mark.parametrize(
    ("scores", "options", "last"),
    [
        (RISE_AND_FALL, {"patience": 1}, 4),
        (RISE_AND_FALL, {"patience": 4}, 11),  # the best of all comes at 7
        ([0.1 * step for step in range(12)], {"patience": 1}, 12),
        # A tenth at a time is no gain of 0.15 by itself, but two of them are: small steps add up.
        ([0.1 * step for step in range(12)], {"patience": 2, "min_gain": 0.15}, 12),
        ([0.1 * step for step in range(12)], {"patience": 1, "min_gain": 0.15}, 2),
        ([0.5, math.nan, math.nan, *[0.6] * 9], {"patience": 2}, 3),
    ],
)
def test_patience_and_the_least_gain(build, scores, options, last):
    trainer = build(scores, EarlyStoppingCallback(**options))
    trainer.train()
    assert trainer.state.global_step == last


def test_it_watches_another_metric_than_the_hosts_where_the_last_weights_are_kept(build):
    trainer = build(RISE_AND_FALL, EarlyStoppingCallback(2, metric="f1_macro", restore_best=False))
    trainer.train()
    assert trainer.state.global_step == 3


@pytest.mark.parametrize(
    ("metric", "greater"),
    [("eval_loss", False), ("accuracy", True), ("mean_squared_error", False), ("my_score", True)],
)
def test_what_is_better_follows_from_the_metric(arguments, metric, greater):
    assert EarlyStoppingCallback(metric=metric)._greater_is_better(arguments()) is greater
    assert (
        EarlyStoppingCallback(metric=metric, greater_is_better=not greater)._greater_is_better(arguments())
        is not greater
    )
    hosts = arguments(metric_for_best_model=metric, greater_is_better=not greater)
    assert EarlyStoppingCallback()._greater_is_better(hosts) is not greater


@EACH_TRAINER
@pytest.mark.parametrize("step", [2, 4, 5])
def test_a_resumed_run_stops_where_the_uninterrupted_one_does(build, tmp_path, trainer_class, step):
    straight = EarlyStoppingCallback(3)
    build(RISE_AND_FALL, straight, trainer_class=trainer_class).train()
    resumed = EarlyStoppingCallback(3)
    trainer = build(RISE_AND_FALL[step:], resumed, trainer_class=trainer_class)
    trainer.train(resume_from_checkpoint=str(tmp_path / "out" / f"checkpoint-{step}"))
    assert trainer.state.global_step == 6
    assert (resumed.best, resumed.best_step, resumed.strikes) == (straight.best, straight.best_step, straight.strikes)


class Updates(TrainerCallback):
    def __init__(self):
        self.steps = []

    def on_step_begin(self, args, state, control, **kwargs):
        self.steps.append(state.global_step + 1)


@pytest.mark.parametrize(("trainer_class", "more"), [(StrategyTrainer, []), (Trainer, [7])])
def test_a_run_that_is_resumed_after_its_stop_has_come_to_its_end(build, tmp_path, capsys, trainer_class, more):
    straight = build(RISE_AND_FALL, EarlyStoppingCallback(3), trainer_class=trainer_class)
    straight.train()
    expected = {name: value.clone() for name, value in straight.model.state_dict().items()}
    capsys.readouterr()
    updates, events = Updates(), EventLogCallback(tmp_path / "events.jsonl")
    resumed = build(RISE_AND_FALL[6:], updates, events, EarlyStoppingCallback(3), trainer_class=trainer_class)
    resumed.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-6"))
    assert updates.steps == more
    assert read_events(events.path)[-1]["event"] == "end"
    if not more:
        assert "early stop" not in capsys.readouterr().out  # it has been said
        assert all(torch.equal(value, expected[name]) for name, value in resumed.model.state_dict().items())


def test_training_again_begins_to_count_anew(build):
    stopping = EarlyStoppingCallback(3)
    trainer = build([0.5] * 4, stopping)
    trainer.train()
    assert trainer.state.global_step == 4
    trainer.compute_metrics.scores = [0.3, 0.4, 0.4, 0.4, 0.4, 0.9]  # worse than all before
    trainer.train()
    assert trainer.state.global_step == 5
    trainer.evaluate()
    assert stopping.best == 0.4  # an evaluation outside of training counts for nothing


def test_of_several_evaluation_sets_one_has_the_metric(build, token_rows):
    sets = {"near": token_rows[:4], "far": token_rows[4:8]}
    watched = {"metric_for_best_model": "near_accuracy"}
    scores = [score for step in range(12) for score in (0.5, step / 10)]
    trainer = build(scores, EarlyStoppingCallback(2), data=sets, **watched)
    trainer.train()
    assert trainer.state.global_step == 3


@EACH_TRAINER
def test_a_metric_that_no_evaluation_has_is_answered_with_the_nearest(build, trainer_class):
    trainer = build(
        RISE_AND_FALL, EarlyStoppingCallback(), trainer_class=trainer_class, metric_for_best_model="acuracy"
    )
    expected = r"watches 'acuracy', which no evaluation reports, did you mean 'accuracy'\? .*accuracy, f1_macro, loss"
    with pytest.raises(UserError, match=expected):
        trainer.train()


def test_a_metric_that_none_of_several_sets_has(build, token_rows):
    sets = {"near": token_rows[:4], "far": token_rows[4:8]}
    stopping = EarlyStoppingCallback(metric="near_acuracy", restore_best=False)
    trainer = build([0.5] * 24, stopping, data=sets, load_best_model_at_end=False, metric_for_best_model=None)
    with pytest.raises(UserError, match="did you mean 'near_accuracy'"):
        trainer.train()


LAST = {"load_best_model_at_end": False}


@pytest.mark.parametrize(
    ("changes", "options", "complaint"),
    [
        (
            {**LAST, "eval_strategy": "no"},
            {},
            "early stopping watches evaluations: set eval_strategy to steps or epoch",
        ),
        (LAST, {}, r"set load_best_model_at_end=True, metric_for_best_model=accuracy; or keep the last"),
        ({**LAST, "save_strategy": "epoch"}, {}, r"accuracy, save_strategy=steps \(got epoch\); or keep the last"),
        ({}, {"metric": "loss"}, "watches 'loss', and the host would restore the best by 'accuracy'"),
    ],
)
def test_what_is_missing_is_said_before_training(build, changes, options, complaint):
    with pytest.raises(UserError, match=complaint):
        build([], EarlyStoppingCallback(**options), **changes).train()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"patience": 0}, "patience of early stopping must be a whole number >= 1, got 0"),
        ({"min_gain": -0.1}, "min_gain of early stopping must be a finite number >= 0, got -0.1"),
    ],
)
def test_what_makes_no_sense_is_refused(options, complaint):
    with pytest.raises(UserError, match=complaint):
        EarlyStoppingCallback(**options)
