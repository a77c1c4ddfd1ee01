"""Averaged weights in real runs, in a plain Trainer and in StrategyTrainer: evaluated, saved, resumed."""

import copy
import logging
import shutil
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback

from hf_strategies import StrategyTrainer, WeightAveragingCallback
from hf_strategies.callbacks import AVERAGES
from hf_strategies.callbacks.averages import ema_decay

DECAY = 0.8
EACH_TRAINER = pytest.mark.parametrize("trainer_class", [Trainer, StrategyTrainer])
SETTINGS = {"ema": {"decay": DECAY}, "swa": {"start": 0.3}, "last_k": {"k": 2}}


class Iterates(TrainerCallback):
    """Keeps the weights and buffers after each update, as they train, and as they are evaluated."""

    def __init__(self):
        self.after, self.evaluated = {}, {}

    def on_step_end(self, args, state, control, model, **kwargs):
        self.after[state.global_step] = values(model)

    def on_evaluate(self, args, state, control, model, **kwargs):
        self.evaluated[state.global_step] = values(model)

    def ema(self, step, decay=DECAY):
        """The textbook's, in float64."""
        mean = {}
        for count in range(step):
            keep = ema_decay(count, decay)
            for name, value in self.after[count + 1].items():
                mean[name] = keep * mean.get(name, 0.0) + (1 - keep) * value.double()
        return mean


def values(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def assert_close(ours, theirs, names=None, **tolerance):
    assert names or ours.keys() >= theirs.keys()
    for name in names or theirs:
        torch.testing.assert_close(ours[name].double(), theirs[name].double(), **tolerance)


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in theirs:
        assert torch.equal(ours[name], theirs[name]), name


@pytest.fixture
def build(build):
    """Build a trainer that keeps what its weights were."""

    def build_watched(*args, **changes):
        trainer = build(*args, **changes)
        trainer.iterates = Iterates()
        trainer.callback_handler.callbacks.insert(0, trainer.iterates)  # before anything swaps
        return trainer

    return build_watched


def checkpoint(trainer, step):
    return f"{trainer.args.output_dir}/checkpoint-{step}"


def saved(trainer, step):
    return values(AutoModelForCausalLM.from_pretrained(checkpoint(trainer, step)))


@EACH_TRAINER
def test_evaluations_checkpoints_and_the_trained_model_have_the_average(build, trainer_class):
    averaging = WeightAveragingCallback("ema", decay=DECAY)
    trainer = build(trainer_class, averaging, eval_strategy="steps", eval_steps=3, save_steps=4)
    trainer.train()
    for step in (3, 6, 12):
        assert_close(trainer.iterates.evaluated[step], trainer.iterates.ema(step), rtol=1e-5, atol=1e-7)
    for step in (4, 12):
        assert_close(saved(trainer, step), trainer.iterates.ema(step), rtol=1e-5, atol=1e-7)
    assert_same(values(trainer.model), saved(trainer, 12))


@EACH_TRAINER
def test_without_a_save_or_an_evaluation_the_trained_model_is_the_average_too(build, trainer_class):
    trainer = build(trainer_class, WeightAveragingCallback("ema", decay=DECAY), save_strategy="no")
    trainer.train()
    assert_close(values(trainer.model), trainer.iterates.ema(12), rtol=1e-5, atol=1e-7)
    evaluated = trainer.evaluate()["eval_loss"]
    again = build(save_strategy="no")
    again.model.load_state_dict(values(trainer.model))
    assert again.evaluate()["eval_loss"] == evaluated


@EACH_TRAINER
@pytest.mark.parametrize("strategy", ["steps", "epoch"])
def test_training_is_what_it_is_without_averaging_to_the_bit(build, trainer_class, strategy):
    settings = {"eval_strategy": strategy, "save_strategy": strategy, "eval_steps": 3, "save_steps": 6}
    averaged, plain = build(trainer_class, WeightAveragingCallback(), **settings), build(trainer_class, **settings)
    averaged.train()
    plain.train()
    for step in range(1, 13):
        assert_same(averaged.iterates.after[step], plain.iterates.after[step])


@EACH_TRAINER
@pytest.mark.parametrize("name", AVERAGES.names())
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(build, trainer_class, name):
    evaluations = {"eval_strategy": "steps", "eval_steps": 6}
    straight = build(trainer_class, WeightAveragingCallback(name, **SETTINGS[name]), **evaluations)
    straight.train()
    for step in (2, 4, 6):  # before swa begins, at an epoch's end, within the second epoch
        resumed = build(trainer_class, WeightAveragingCallback(name, **SETTINGS[name]), **evaluations)
        resumed.train(resume_from_checkpoint=checkpoint(straight, step))
        for later in range(step + 1, 13):
            assert_same(resumed.iterates.after[later], straight.iterates.after[later])
        assert_same(resumed.iterates.evaluated[12], straight.iterates.evaluated[12])
        assert_same(values(resumed.model), values(straight.model))


@pytest.mark.parametrize(("name", "ends"), [("swa", [4, 8, 12]), ("last_k", [8, 12])])
def test_epochs_ends_are_averaged_by_a_plain_mean(build, name, ends):
    trainer = build(Trainer, WeightAveragingCallback(name, **SETTINGS[name]))
    trainer.train()
    after = trainer.iterates.after
    expected = {name: torch.stack([after[end][name] for end in ends]).mean(dim=0) for name in after[1]}
    assert_close(values(trainer.model), expected, rtol=1e-5, atol=1e-7)


@EACH_TRAINER
def test_until_something_is_averaged_the_weights_are_used_as_they_are(build, trainer_class):
    trainer = build(trainer_class, WeightAveragingCallback("swa", start=0.5), eval_strategy="steps", eval_steps=4)
    trainer.train()
    assert_same(trainer.iterates.evaluated[4], trainer.iterates.after[4])
    assert_same(saved(trainer, 4), trainer.iterates.after[4])
    assert not Path(checkpoint(trainer, 4), "averages.safetensors").exists()


@EACH_TRAINER
def test_the_best_model_is_the_average_that_was_evaluated_best(build, trainer_class):
    trainer = build(
        trainer_class,
        WeightAveragingCallback("ema", decay=DECAY),
        eval_strategy="steps",
        eval_steps=4,
        save_steps=4,
        load_best_model_at_end=True,
        metric_for_best_model="loss",
        greater_is_better=True,  # untrained is worse, so that the best is not the last
    )
    trainer.train()
    assert trainer.state.best_global_step == 4
    assert_same(values(trainer.model), trainer.iterates.evaluated[4])
    best = next(row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row)
    assert trainer.evaluate()["eval_loss"] == best


@EACH_TRAINER
def test_frozen_and_tied_weights(build, trainer_class):
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=258, n_positions=16))
    model.transformer.wpe.weight.requires_grad_(False)
    trainer = build(trainer_class, WeightAveragingCallback("ema", decay=DECAY), model=model)
    trainer.train()
    assert_close(values(trainer.model), trainer.iterates.ema(12), rtol=1e-5, atol=1e-7)
    assert trainer.model.lm_head.weight is trainer.model.transformer.wte.weight
    stored = load_file(f"{checkpoint(trainer, 6)}/averages.safetensors")
    assert "training.transformer.wte.weight" in stored
    assert not any("wpe" in name or "lm_head" in name for name in stored)


@EACH_TRAINER
def test_of_a_peft_model_the_adapter_alone_is_averaged_saved_and_resumed(build, tiny_lm, trainer_class):
    def adapted():
        torch.manual_seed(1)
        config = peft.LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"])
        return peft.get_peft_model(copy.deepcopy(tiny_lm), config)

    straight = build(trainer_class, WeightAveragingCallback("ema", decay=DECAY), model=adapted())
    straight.train()
    stored = load_file(f"{checkpoint(straight, 6)}/averages.safetensors")
    assert {name.split(".")[-1] for name in stored} == {"weight"}
    assert all("lora_" in name or "modules_to_save" in name for name in stored)
    expected = straight.iterates.ema(6)
    adapter = load_file(f"{checkpoint(straight, 6)}/adapter_model.safetensors")
    for name, value in adapter.items():
        name = name.replace("lm_head.", "lm_head.modules_to_save.")
        (full,) = [key for key in expected if key.replace(".default", "") == name]
        torch.testing.assert_close(value.double(), expected[full], rtol=1e-5, atol=1e-7)
    resumed = build(trainer_class, WeightAveragingCallback("ema", decay=DECAY), model=adapted())
    resumed.train(resume_from_checkpoint=checkpoint(straight, 6))
    assert_same(values(resumed.model), values(straight.model))


class Normed(nn.Module):
    """A classifier whose batch norm's statistics move as it trains."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 2)

    def forward(self, points, labels):
        logits = self.head(self.norm(points))
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


@EACH_TRAINER
def test_a_batch_norms_statistics_are_averaged_with_the_weights_and_come_back(build, trainer_class):
    points = 3.0 + torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    data = [{"points": point, "labels": index % 2} for index, point in enumerate(points)]
    evaluations = {"eval_strategy": "steps", "eval_steps": 1}
    averaging = WeightAveragingCallback("ema", decay=DECAY)
    straight = build(trainer_class, averaging, model=Normed(), data=data, **evaluations)
    straight.train()
    expected = straight.iterates.ema(12)
    assert (expected["norm.running_mean"] - straight.iterates.after[12]["norm.running_mean"]).abs().max() > 0.1
    floats = [name for name in expected if name != "norm.num_batches_tracked"]
    assert_close(values(straight.model), expected, floats, rtol=1e-5, atol=1e-7)
    assert straight.model.norm.num_batches_tracked == 12
    averaging = WeightAveragingCallback("ema", decay=DECAY)
    resumed = build(trainer_class, averaging, model=Normed(), data=data, **evaluations)
    resumed.train(resume_from_checkpoint=checkpoint(straight, 6))
    assert_same(resumed.iterates.after[12], straight.iterates.after[12])
    assert_same(values(resumed.model), values(straight.model))


@EACH_TRAINER
def test_half_precision_weights_have_a_full_precision_average(build, tiny_lm, trainer_class):
    averaging = WeightAveragingCallback("ema", decay=0.999)
    straight = build(trainer_class, averaging, model=copy.deepcopy(tiny_lm).bfloat16(), learning_rate=1e-4)
    straight.train()
    stored = load_file(f"{checkpoint(straight, 6)}/averages.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    assert (stored[f"training.{name}"].dtype, stored[f"average.0.{name}"].dtype) == (torch.bfloat16, torch.float32)
    expected = straight.iterates.ema(6, decay=0.999)[name]
    assert not torch.equal(expected, expected.bfloat16().double())  # what bfloat16 could not hold
    torch.testing.assert_close(stored[f"average.0.{name}"].double(), expected, rtol=1e-6, atol=1e-8)
    averaging = WeightAveragingCallback("ema", decay=0.999)
    resumed = build(trainer_class, averaging, model=copy.deepcopy(tiny_lm).bfloat16(), learning_rate=1e-4)
    resumed.train(resume_from_checkpoint=checkpoint(straight, 6))
    assert_same(values(resumed.model), values(straight.model))


@EACH_TRAINER
def test_training_again_averages_anew_and_goes_on_from_the_average(build, trainer_class):
    trainer = build(trainer_class, WeightAveragingCallback("ema", decay=DECAY), save_strategy="no")
    trainer.train()
    trainer.iterates.after.clear()
    trainer.train()
    assert_close(values(trainer.model), trainer.iterates.ema(12), rtol=1e-5, atol=1e-7)


def test_a_run_that_was_not_averaged_can_be_from_where_it_is_resumed(build, caplog):
    build(Trainer).train()
    trainer = build(Trainer, WeightAveragingCallback("last_k", k=20, every=1))
    with caplog.at_level(logging.WARNING):
        trainer.train(resume_from_checkpoint=checkpoint(trainer, 6))
    assert "averaging begins at step 6: there is none in the checkpoint" in caplog.text
    after = trainer.iterates.after
    expected = {name: torch.stack([after[step][name] for step in range(7, 13)]).mean(dim=0) for name in after[12]}
    assert_close(values(trainer.model), expected, rtol=1e-5, atol=1e-7)


def test_an_average_of_hardly_anything_says_so(build, caplog):
    with caplog.at_level(logging.WARNING):
        build(Trainer, WeightAveragingCallback("swa", start=0.9)).train()
    assert "training ended with 1 values in the average 'swa'" in caplog.text


def test_a_strategy_trainer_resumes_from_any_folder(build, tmp_path):
    straight = build(StrategyTrainer, WeightAveragingCallback())
    straight.train()
    shutil.copytree(checkpoint(straight, 6), tmp_path / "copies" / "checkpoint-6")
    resumed = build(StrategyTrainer, WeightAveragingCallback(), output_dir=tmp_path / "elsewhere")
    resumed.train(resume_from_checkpoint=str(tmp_path / "copies" / "checkpoint-6"))
    assert_same(values(resumed.model), values(straight.model))
