"""Schedules in a whole training: their units, and the one that follows evaluations."""

import pytest
import torch
from transformers import Trainer

from hf_strategies.errors import UserError
from hf_strategies.schedulers import schedule_curve
from hf_strategies.training import StrategyTrainer


def column(trainer: Trainer, name: str) -> list[float]:
    return [row[name] for row in trainer.state.log_history if name in row]


def rates(build_lm, rows, args, **strategy) -> list[float]:
    """The rates of nine updates of 8 samples of 8 tokens, three of them per epoch, over the base rate."""
    trainer = StrategyTrainer(build_lm(), args, train_dataset=rows, **strategy)
    trainer.train()
    return [rate / args.learning_rate for rate in column(trainer, "learning_rate")]


def test_lengths_in_tokens_and_epochs_become_updates(build_lm, numbered_rows, arguments):
    shape = {"num_warmup_steps": "256 tokens", "num_decay_steps": "1 epoch"}
    seen = rates(
        build_lm, numbered_rows, arguments(save_strategy="no"),
        scheduler="warmup_stable_decay", scheduler_kwargs=shape, tokens_per_sample=8,
    )  # fmt: skip
    curve = schedule_curve("warmup_stable_decay", num_training_steps=9, num_warmup_steps=4, num_decay_steps=3)
    assert seen == pytest.approx([curve(step) for step in range(9)])


def test_a_step_per_epoch_is_torchs_in_a_run_that_is_counted_in_epochs(build_lm, numbered_rows, arguments):
    args = arguments(save_strategy="no", max_steps=-1, num_train_epochs=3)
    seen = rates(build_lm, numbered_rows, args, scheduler="step", scheduler_kwargs={"step_size": "1 epoch"})
    assert seen == pytest.approx([1.0] * 3 + [0.1] * 3 + [0.01] * 3)


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ({"num_decay_steps": "64 tokens"}, "needs the tokens of one update"),
        ({"num_decay_steps": 3, "num_warmup_steps": 2}, "cannot both be given"),
    ],
)
def test_what_cannot_be_is_refused_before_any_step(build_lm, numbered_rows, arguments, shape, complaint):
    model, args = build_lm(), arguments(warmup_steps=2)
    trainer = StrategyTrainer(
        model, args, train_dataset=numbered_rows, scheduler="warmup_stable_decay", scheduler_kwargs=shape
    )
    with pytest.raises(UserError, match=complaint):
        trainer.train()
    assert model.seen == []


PLATEAU = {"scheduler": "reduce_on_plateau", "scheduler_kwargs": {"factor": 0.5, "patience": 0, "threshold": 0.1}}


def follow(build_lm, rows, args, **resume) -> Trainer:
    """Train with an evaluation after each update, whose metric is better in the first of them only."""
    scores = iter([0.5, 0.9] + [0.6] * 20)
    trainer = StrategyTrainer(
        build_lm(), args, train_dataset=rows, eval_dataset=rows[:4],
        compute_metrics=lambda _: {"accuracy": next(scores)}, **PLATEAU,
    )  # fmt: skip
    trainer.train(**resume)
    return trainer


def test_the_rate_follows_any_metric_and_knows_which_way_is_better(build_lm, numbered_rows, arguments):
    evaluated = {"eval_strategy": "steps", "eval_steps": 1, "metric_for_best_model": "accuracy", "max_steps": 5}
    trainer = follow(build_lm, numbered_rows, arguments(**evaluated, save_strategy="no", greater_is_better=True))
    base = trainer.args.learning_rate
    # Update 2 came after 0.5, the first; update 3 after 0.9, which is better; all later ones after 0.6.
    assert column(trainer, "learning_rate") == pytest.approx([base * factor for factor in (1, 1, 1, 0.5, 0.25)])


def test_a_plateau_is_remembered_when_a_run_resumes(build_lm, numbered_rows, arguments, tmp_path):
    settings = {"eval_strategy": "steps", "eval_steps": 1, "metric_for_best_model": "loss", "max_steps": 6}

    def run(**resume):
        trainer = StrategyTrainer(
            build_lm(), arguments(**settings), train_dataset=numbered_rows, eval_dataset=numbered_rows[:4], **PLATEAU
        )
        trainer.train(**resume)
        return trainer

    straight = run()
    resumed = run(resume_from_checkpoint=f"{tmp_path}/out/checkpoint-3")
    rates = column(straight, "learning_rate")
    assert rates[-1] < rates[2] < rates[0]  # it moved both before and after the checkpoint
    assert column(resumed, "learning_rate") == rates
    for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_second_training_begins_at_the_base_rate(build_lm, numbered_rows, arguments):
    evaluated = {"eval_strategy": "steps", "eval_steps": 1, "metric_for_best_model": "loss", "max_steps": 4}
    shape = {"factor": 0.5, "patience": 0, "threshold": 0.9}  # which no loss gets better by in an update
    trainer = StrategyTrainer(
        build_lm(), arguments(**evaluated, save_strategy="no"), train_dataset=numbered_rows,
        eval_dataset=numbered_rows[:4], scheduler="reduce_on_plateau", scheduler_kwargs=shape,
    )  # fmt: skip
    for _ in range(2):
        trainer.train()
        expected = [trainer.args.learning_rate * factor for factor in (1, 1, 0.5, 0.25)]
        assert column(trainer, "learning_rate") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({}, "set eval_strategy to steps or epoch"),
        ({"eval_strategy": "steps"}, "follows metric_for_best_model"),
        ({"eval_strategy": "steps", "metric_for_best_model": "loss", "warmup_steps": 2}, "takes no warmup"),
    ],
)
def test_a_rate_that_would_never_move_is_refused_before_any_step(
    build_lm, numbered_rows, arguments, settings, complaint
):
    model = build_lm()
    trainer = StrategyTrainer(
        model, arguments(**settings), train_dataset=numbered_rows, eval_dataset=numbered_rows[:4], **PLATEAU
    )
    with pytest.raises(UserError, match=complaint):
        trainer.train()
    assert model.seen == []


def test_a_resumed_run_keeps_its_own_intervals(build_lm, numbered_rows, arguments, tmp_path):
    StrategyTrainer(build_lm(), arguments(max_steps=2), train_dataset=numbered_rows).train()
    trainer = StrategyTrainer(build_lm(), arguments(max_steps=8, logging_steps=3), train_dataset=numbered_rows)
    trainer.train(resume_from_checkpoint=f"{tmp_path}/out/checkpoint-2")
    assert [row["step"] for row in trainer.state.log_history if "loss" in row] == [1, 2, 3, 6]
