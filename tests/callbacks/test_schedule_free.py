import copy
import logging

import pytest
import torch
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback

from hf_strategies import OptimizerFactory, StrategyTrainer
from hf_strategies.callbacks.schedule_free import ScheduleFreeCallback

pytest.importorskip("schedulefree", reason="schedule-free optimizers need schedulefree")

SCHEDULE_FREE = (OptimizerFactory, {"name": "schedule_free_adamw", "lr": 1e-2, "weight_decay": 0.1})
WEIGHT = "model.layers.0.mlp.up_proj.weight"


class KeepIterates(TrainerCallback):
    """Keep the sequence whose average a schedule-free optimizer wants to be judged by."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def on_step_end(self, args, state, control, model=None, optimizer=None, **kwargs):
        inner = optimizer.optimizer
        self.seen.append(inner.state[model.get_parameter(WEIGHT)]["z"].clone())

    def average(self, step: int) -> torch.Tensor:
        """At a constant rate every iterate counts alike."""
        return torch.stack(self.seen[:step]).mean(dim=0)


@pytest.fixture
def build(tiny_lm, token_rows, arguments):
    """Build a Trainer over a copy of one model: four updates, a checkpoint after each second one."""

    def build(trainer_class=Trainer, callbacks=(), optimizer=SCHEDULE_FREE, **changes):
        settings = {"save_strategy": "steps", "save_steps": 2, "lr_scheduler_type": "constant", "learning_rate": 1e-2}
        return trainer_class(
            copy.deepcopy(tiny_lm),
            arguments(**{**settings, **changes}),
            train_dataset=token_rows,
            eval_dataset=token_rows[:8],
            optimizer_cls_and_kwargs=optimizer,
            callbacks=list(callbacks),
        )

    return build


def saved(trainer, step: int) -> AutoModelForCausalLM:
    return AutoModelForCausalLM.from_pretrained(f"{trainer.args.output_dir}/checkpoint-{step}")


@pytest.mark.parametrize("trainer_class", [Trainer, StrategyTrainer])
def test_checkpoints_and_the_final_model_hold_the_average(build, trainer_class):
    keep = KeepIterates()
    trainer = build(trainer_class, [keep, *([ScheduleFreeCallback()] if trainer_class is Trainer else [])])
    trainer.train()
    torch.testing.assert_close(saved(trainer, 2).get_parameter(WEIGHT), keep.average(2))
    torch.testing.assert_close(saved(trainer, 4).get_parameter(WEIGHT), keep.average(4))
    torch.testing.assert_close(trainer.model.get_parameter(WEIGHT).detach(), keep.average(4))


def test_without_a_save_at_the_end_the_final_model_is_the_average_too(build):
    keep = KeepIterates()
    trainer = build(callbacks=[keep, ScheduleFreeCallback()], save_strategy="no")
    trainer.train()
    torch.testing.assert_close(trainer.model.get_parameter(WEIGHT).detach(), keep.average(4))


def test_what_is_evaluated_is_what_is_saved(build):
    trainer = build(callbacks=[ScheduleFreeCallback()], eval_strategy="steps", eval_steps=2)
    trainer.train()
    (logged,) = [row["eval_loss"] for row in trainer.state.log_history if row["step"] == 2 and "eval_loss" in row]
    again = build()
    again.model.load_state_dict(saved(trainer, 2).state_dict())
    assert again.evaluate()["eval_loss"] == logged


def test_the_best_model_comes_back_as_it_was_saved(build):
    trainer = build(
        StrategyTrainer,
        eval_strategy="steps",
        eval_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="loss",
        greater_is_better=True,  # untrained is worse, so that the best is not the last
    )
    trainer.train()
    assert trainer.state.best_global_step == 2
    best = saved(trainer, 2)
    for ours, theirs in zip(trainer.model.parameters(), best.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("trainer_class", [Trainer, StrategyTrainer])
def test_a_resumed_run_is_the_uninterrupted_one(build, trainer_class):
    callbacks = [ScheduleFreeCallback()] if trainer_class is Trainer else []
    straight = build(trainer_class, callbacks)
    straight.train()
    resumed = build(trainer_class, callbacks)
    resumed.train(resume_from_checkpoint=f"{straight.args.output_dir}/checkpoint-2")
    for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_strategy_trainer_adds_it_once_and_only_where_it_is_needed(build):
    def count(trainer) -> int:
        trainer.train()
        trainer.train()
        return sum(isinstance(callback, ScheduleFreeCallback) for callback in trainer.callback_handler.callbacks)

    assert count(build(StrategyTrainer)) == 1
    assert count(build(StrategyTrainer, [ScheduleFreeCallback()])) == 1
    assert count(build(StrategyTrainer, optimizer=(OptimizerFactory, {"name": "lion", "lr": 1e-3}))) == 0


def test_the_hosts_own_schedule_free_optimizer_is_saved_as_its_average_too(build):
    keep = KeepIterates()
    trainer = build(StrategyTrainer, [keep], optimizer=None, optim="schedule_free_adamw")
    trainer.train()
    torch.testing.assert_close(saved(trainer, 2).get_parameter(WEIGHT), keep.average(2))


def test_it_says_that_it_has_nothing_to_do(build, caplog):
    with caplog.at_level(logging.WARNING):
        build(callbacks=[ScheduleFreeCallback()], optimizer=(OptimizerFactory, {"name": "lion", "lr": 1e-3})).train()
    assert "ScheduleFreeCallback has nothing to do: Lion keeps no average" in caplog.text
