"""What averages of weights cannot be resumed from, and what they do not go with."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from transformers import Trainer, TrainerState

from hf_strategies import OptimizerFactory, WeightAveragingCallback
from hf_strategies.errors import UserError


def checkpoint(trainer, step):
    return f"{trainer.args.output_dir}/checkpoint-{step}"


@pytest.fixture
def interrupted(build):
    """A plain run whose checkpoints are about to be spoilt."""
    trainer = build(Trainer, WeightAveragingCallback("ema", decay=0.8), max_steps=6)
    trainer.train()
    return trainer


def resume(build, trainer, averaging, **changes):
    build(Trainer, averaging, **changes).train(resume_from_checkpoint=checkpoint(trainer, 4))


def test_a_checkpoint_without_its_training_weights_is_refused(build, interrupted, tmp_path):
    with pytest.raises(UserError, match=r"averages.safetensors is missing: .* in its own output_dir, StrategyTrainer"):
        resume(build, interrupted, WeightAveragingCallback(), output_dir=tmp_path / "elsewhere")


def test_another_runs_file_of_the_same_step_is_not_taken_for_it(build, interrupted, tmp_path):
    other = build(Trainer, WeightAveragingCallback(), output_dir=tmp_path / "elsewhere", learning_rate=1e-3)
    other.train()
    with pytest.raises(UserError, match="elsewhere/checkpoint-4 is not the checkpoint that is resumed"):
        resume(build, interrupted, WeightAveragingCallback(), output_dir=tmp_path / "elsewhere")


def test_another_average_and_other_weights_are_refused(build, interrupted, tiny_lm):
    with pytest.raises(UserError, match="holds an average of kind 'ema', this run's is 'swa'"):
        resume(build, interrupted, WeightAveragingCallback("swa"))
    larger = copy.deepcopy(tiny_lm)
    larger.register_buffer("statistic", torch.zeros(1))
    with pytest.raises(UserError, match="not of this run's weights, settings and ranks"):
        resume(build, interrupted, WeightAveragingCallback(), model=larger)


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_a_damaged_file_is_refused_in_one_line(build, interrupted, damage):
    file = Path(checkpoint(interrupted, 4), "averages.safetensors")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        save_file({"a": torch.zeros(1)}, file)
    with pytest.raises(UserError, match=r"averages.safetensors: damaged \(.*resume from an earlier checkpoint"):
        resume(build, interrupted, WeightAveragingCallback())


def test_an_optimizer_that_averages_by_itself_is_refused(tiny_lm, token_rows, arguments):
    pytest.importorskip("schedulefree", reason="schedule-free optimizers need schedulefree")
    factory = (OptimizerFactory, {"name": "schedule_free_adamw", "lr": 1e-3})
    trainer = Trainer(
        tiny_lm,
        arguments(),
        train_dataset=token_rows,
        optimizer_cls_and_kwargs=factory,
        callbacks=[WeightAveragingCallback()],
    )
    with pytest.raises(UserError, match=r"AdamWScheduleFree.* averages the weights by itself"):
        trainer.train()


def test_weights_that_deepspeed_holds_are_refused(tiny_lm):
    args = SimpleNamespace(deepspeed={"zero_optimization": {"stage": 2}})
    with pytest.raises(UserError, match="weights cannot be averaged under DeepSpeed"):
        WeightAveragingCallback().on_train_begin(args, TrainerState(), None, model=tiny_lm)
