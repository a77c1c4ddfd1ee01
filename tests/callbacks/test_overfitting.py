"""What is said about the losses of a run, when, and where it is kept."""

import time
from pathlib import Path

import pytest
from transformers import Trainer, TrainerCallback

from hf_strategies import EventLogCallback, OverfittingCallback, StrategyTrainer
from hf_strategies.reports.events import read_events

VALIDATION = [1.0, 0.8, 0.7, 0.5, 0.55, 0.65, 0.8, 0.9]
TRAINING = [0.9, 0.7, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1]


class Pretended(TrainerCallback):
    """Replaces the losses in the history by those of a test."""

    def on_log(self, args, state, control, **kwargs):
        row = state.log_history[-1]
        for name, losses in (("loss", TRAINING), ("eval_loss", VALIDATION)):
            if name in row:
                row[name] = losses[row["step"] - 1]


@pytest.fixture
def train(tiny_lm, token_rows, arguments, tmp_path, capsys):
    """Train for eight updates, each of which is evaluated; return what was said."""

    def train(*callbacks, trainer_class=StrategyTrainer, resume=None, **changes):
        settings = {
            "max_steps": 8,
            "save_strategy": "steps",
            "save_steps": 1,
            "eval_strategy": "steps",
            "eval_steps": 1,
        }
        path = tmp_path / "events.jsonl"
        trainer = trainer_class(
            tiny_lm,
            arguments(**{**settings, **changes}),
            train_dataset=token_rows,
            eval_dataset=token_rows[:4],
            callbacks=[Pretended(), EventLogCallback(path), *callbacks, OverfittingCallback(path)],
        )
        capsys.readouterr()
        trainer.train(resume_from_checkpoint=resume and str(tmp_path / "out" / f"checkpoint-{resume}"))
        lines = capsys.readouterr().out.splitlines()
        return [line for line in lines if line.startswith("losses at")], trainer

    return train


@pytest.mark.parametrize("trainer_class", [Trainer, StrategyTrainer])
def test_a_verdict_is_said_when_it_changes_and_at_the_end(train, tmp_path, trainer_class):
    said, _ = train(trainer_class=trainer_class)
    assert [line.split(":")[0] + line.split(":")[1] for line in said] == [
        "losses at step 4 still learning",
        "losses at step 6 overfitting since step 4",
        "losses at step 8 overfitting since step 4",
    ]
    told = [event for event in read_events(tmp_path / "events.jsonl") if event["event"] == "verdict"]
    assert [(event["step"], event["verdict"], event.get("since")) for event in told] == [
        (4, "learning", None),
        (6, "overfitting", 4),
        (8, "overfitting", 4),
    ]
    assert all(line.endswith(event["said"]) for line, event in zip(said, told, strict=True))


@pytest.mark.parametrize("trainer_class", [Trainer, StrategyTrainer])
def test_a_resumed_run_says_nothing_twice(train, trainer_class):
    said, _ = train(trainer_class=trainer_class)
    resumed, _ = train(trainer_class=trainer_class, resume=5)
    assert resumed == said[1:]


def test_an_evaluation_after_training_is_not_judged(train, capsys):
    _, trainer = train()
    trainer.state.log_history.clear()
    trainer.evaluate()
    assert "losses at" not in capsys.readouterr().out


def test_too_few_evaluations_are_said_to_be_too_few(train):
    said, _ = train(max_steps=1)
    assert said == ["losses at step 1: no verdict, expected 2 evaluations after a logged loss, got 1"]


def test_three_evaluations_are_judged_at_the_end_alone(train):
    said, _ = train(max_steps=3)
    assert said == [
        "losses at step 3: still learning: validation loss went from 0.8 to 0.7 over the last 2 evaluations"
    ]


@pytest.mark.parametrize("trainer_class", [Trainer, StrategyTrainer])
def test_the_training_loss_is_logged_with_each_evaluation(train, trainer_class):
    every_epoch = {"max_steps": -1, "num_train_epochs": 3, "eval_strategy": "epoch", "logging_steps": 1000}
    _, trainer = train(trainer_class=trainer_class, per_device_train_batch_size=16, save_strategy="no", **every_epoch)
    history = trainer.state.log_history
    evaluated = [row["step"] for row in history if "eval_loss" in row]
    assert len(evaluated) == 3
    assert [row["step"] for row in history if "loss" in row] == evaluated


def test_a_run_that_logs_nothing_stays_silent(train):
    said, trainer = train(logging_strategy="no", max_steps=3)
    assert not [row for row in trainer.state.log_history if "loss" in row]
    assert said == ["losses at step 3: no verdict, expected 2 evaluations after a logged loss, got 0"]


class StopFile(TrainerCallback):
    """Has a run interrupted from outside after its fifth update."""

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 5:
            time.sleep(0.05)  # a look that is due by now
            Path(args.output_dir, "STOP").touch()


def test_an_interruption_is_no_end(train):
    said, trainer = train(StopFile())
    assert (trainer.stopped_by, trainer.state.global_step) == ("STOP", 5)
    assert [line.split(":")[0] for line in said] == ["losses at step 4"]
