"""Errors in the middle of an update: what is healthy is saved, and the error goes on."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from hf_strategies.errors import TrainingDivergedError
from hf_strategies.training import StrategyTrainer


class Failing(TrainerCallback):
    """Raises at one event of one update."""

    def __init__(self, event, update, error=None):
        self.update, self.error = update, error or RuntimeError("out of memory")
        setattr(self, event, self.fail)

    def fail(self, args, state, control, **kwargs):
        if state.global_step == self.update - 1:
            raise self.error


def count(model, inputs, outputs):
    model.passes += model.training


@pytest.fixture
def build(build_lm, numbered_rows, arguments):
    """Make a trainer of a model with dropout that counts its passes in a buffer; nine updates of two micro-batches."""

    def make(*callbacks, **changes):
        model = build_lm()
        model.register_buffer("passes", torch.zeros(1))
        model.register_forward_hook(count)
        args = arguments(**{"save_strategy": "no", "logging_steps": 3, **changes})
        return StrategyTrainer(
            model, args, train_dataset=numbered_rows, eval_dataset=numbered_rows[:4], callbacks=list(callbacks)
        )

    return make


def logged(trainer) -> list[dict]:
    return [row for row in trainer.state.log_history if "loss" in row]


@pytest.mark.parametrize("update", [2, 4, 6])  # after the first, after an epoch's last, within the second epoch
def test_an_error_in_an_update_leaves_the_update_before_to_go_on_from(build, tmp_path, update):
    straight = build()
    straight.train()
    with pytest.raises(RuntimeError, match="out of memory"):
        build(Failing("on_substep_end", update)).train()  # after a micro-batch, which drew dropout's random numbers
    (checkpoint,) = (tmp_path / "out").glob("checkpoint-*")
    assert checkpoint.name == f"checkpoint-{update - 1}"
    assert load_file(checkpoint / "model.safetensors")["passes"].item() == 2 * (update - 1)
    resumed = build()
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert logged(resumed) == logged(straight)
    for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_an_evaluation_that_fails_costs_no_update(build, tmp_path):
    trainer = build(Failing("on_prediction_step", 6), eval_strategy="steps", eval_steps=5)
    with pytest.raises(RuntimeError, match="out of memory"):
        trainer.train()
    assert [path.name for path in (tmp_path / "out").glob("checkpoint-*")] == ["checkpoint-5"]


@pytest.mark.parametrize("event", ["on_pre_optimizer_step", "on_optimizer_step", "on_step_end"])
def test_weights_that_have_begun_to_move_are_not_saved(build, tmp_path, event):
    update = 5 if event == "on_step_end" else 4
    with pytest.raises(RuntimeError, match="out of memory"):
        build(Failing(event, update)).train()
    assert not list((tmp_path / "out").glob("checkpoint-*"))


def test_training_that_has_diverged_is_not_saved(build, tmp_path):
    with pytest.raises(TrainingDivergedError):
        build(Failing("on_substep_end", 4, TrainingDivergedError("again and again"))).train()
    assert not list((tmp_path / "out").glob("checkpoint-*"))


def test_a_trial_that_a_search_ends_early_is_no_error(build_lm, numbered_rows, arguments, tmp_path):
    pytest.importorskip("optuna")
    from optuna.pruners import BasePruner

    class Always(BasePruner):
        def prune(self, study, trial):
            return bool(trial.intermediate_values)

    args = arguments(save_strategy="no", max_steps=4, eval_strategy="steps", eval_steps=2)
    trainer = StrategyTrainer(
        None, args, model_init=lambda _: build_lm(), train_dataset=numbered_rows, eval_dataset=numbered_rows[:4]
    )
    space = {"hp_space": lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-3)}}
    with pytest.raises(ValueError, match="No trials are completed"):
        trainer.hyperparameter_search(backend="optuna", n_trials=1, pruner=Always(), **space)
    assert not list((tmp_path / "out").rglob("checkpoint-*"))


def test_an_error_before_the_first_update_is_over_leaves_nothing(build, tmp_path):
    with pytest.raises(RuntimeError, match="out of memory"):
        build(Failing("on_substep_end", 1)).train()
    assert not list((tmp_path / "out").glob("checkpoint-*"))


def test_a_rescue_that_fails_too_hides_nothing(build, tmp_path, capsys):
    trainer = build(Failing("on_substep_end", 4), Failing("on_save", 4, RuntimeError("reporter is gone")))
    with pytest.raises(RuntimeError, match="out of memory"):
        trainer.train()
    assert "update 3 could not be saved: reporter is gone; the error: RuntimeError: out of memory" in (
        capsys.readouterr().out
    )


def test_a_rescue_on_a_full_disk_claims_nothing(build, tmp_path, capsys, no_file_above):
    with no_file_above(10_000), pytest.raises(RuntimeError, match="out of memory"):
        build(Failing("on_substep_end", 4)).train()
    assert not list((tmp_path / "out").glob("checkpoint-*"))
    assert "after update 3, which could not be saved; the error: RuntimeError" in capsys.readouterr().out
