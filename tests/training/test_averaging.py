"""Averaged weights where StrategyTrainer saves, returns, rescues and stops by itself."""

import math
import os
import shutil
import signal

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from hf_strategies.callbacks.averages import ema_decay
from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
from hf_strategies.checkpoints.manifest import damages, read_manifest
from hf_strategies.errors import UserError
from hf_strategies.reports.events import read_events
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.guard import GuardOptions

DECAY = 0.8


class Faulty(StrategyTrainer):
    """Has no finite loss in some updates."""

    faults = ()

    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        return loss * math.nan if self.state.global_step + 1 in self.faults else loss


class Iterates(TrainerCallback):
    """Keeps the weights after each update, as they train."""

    def __init__(self):
        self.after = {}

    def on_step_end(self, args, state, control, model, **kwargs):
        self.after[state.global_step] = values(model)


class At(TrainerCallback):
    """Does something in the middle of one update."""

    def __init__(self, update, act):
        self.update, self.act = update, act

    def on_substep_end(self, args, state, control, **kwargs):
        if state.global_step == self.update - 1:
            self.act()


def fail():
    raise RuntimeError("out of memory")


def values(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def assert_ema(ours, iterates):
    """Compare with the textbook's average of weights in their order."""
    mean = {}
    for count, weights in enumerate(iterates):
        keep = ema_decay(count, DECAY)
        mean = {name: keep * mean.get(name, 0.0) + (1 - keep) * value.double() for name, value in weights.items()}
    for name, value in mean.items():
        torch.testing.assert_close(ours[name].double(), value, rtol=1e-5, atol=1e-7)


def count_passes(model, inputs, outputs):
    model.passes += model.training


@pytest.fixture
def build(build_lm, numbered_rows, arguments):
    """Build a trainer of a model with dropout that counts its passes in a buffer; nine updates, saved on request."""

    def make(*callbacks, averaging=("ema",), faults=(), guard=None, **changes):
        model = build_lm()
        model.register_buffer("passes", torch.zeros(1))
        model.register_forward_hook(count_passes)
        args = arguments(**{"save_strategy": "no", "eval_strategy": "steps", "eval_steps": 3, **changes})
        trainer = Faulty(
            model,
            args,
            train_dataset=numbered_rows,
            eval_dataset=numbered_rows[:4],
            guard=guard or GuardOptions(),
            callbacks=[*callbacks, *(WeightAveragingCallback(name, decay=DECAY) for name in averaging)],
        )
        trainer.faults = faults
        trainer.iterates = Iterates()
        trainer.add_callback(trainer.iterates)
        return trainer

    return make


@pytest.mark.parametrize("guard", [{"snapshot_steps": 10}, {"snapshot_steps": 0}])  # from memory, from disk
def test_what_the_guard_takes_back_is_taken_out_of_the_average(build, tmp_path, guard):
    events = EventLogCallback(tmp_path / "events.jsonl")
    saves = {"save_strategy": "steps", "save_steps": 10}
    options = GuardOptions(patience=3, **guard)
    trainer = build(events, faults=(21, 22, 23), guard=options, max_steps=26, eval_steps=100, **saves)
    trainer.train()
    told = [event for event in read_events(events.path) if event["event"] == "guard"]
    assert [event.get("returned_to") for event in told] == [None, None, 10]
    after = trainer.iterates.after
    counted = [after[step] for step in (*range(1, 11), *range(23, 27))]
    assert all(torch.equal(after[23][name], after[10][name]) for name in after[23] if name != "passes")
    assert_ema(values(trainer.model), [{k: v for k, v in item.items() if k != "passes"} for item in counted])


def test_an_update_that_is_skipped_counts_as_one_that_stands_still(build):
    trainer = build(faults=(3,))
    trainer.train()
    after = trainer.iterates.after
    assert_same(after[2], after[3])
    assert_ema(values(trainer.model), [after[step] for step in range(1, 10)])


def test_a_save_that_nobody_else_knew_of_has_the_average_and_goes_on(build, tmp_path):
    straight = build()
    straight.train()
    stopped = build(At(4, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    stopped.train()
    folder = tmp_path / "out" / "checkpoint-4"
    after = straight.iterates.after
    assert_ema(load_file(folder / "model.safetensors"), [without_tied(after[step]) for step in range(1, 5)])
    assert damages(folder) == []
    assert "averages.safetensors" in read_manifest(folder)["files"]
    resumed = build()
    resumed.train(resume_from_checkpoint=str(folder))
    assert_same(resumed.iterates.after[9], after[9])
    assert_same(values(resumed.model), values(straight.model))


def without_tied(weights):
    return {name: value for name, value in weights.items() if name != "lm_head.weight"}


@pytest.mark.parametrize("update", [3, 4])  # before and after an evaluation
def test_an_error_in_an_update_leaves_the_weights_as_they_train_and_their_average(build, tmp_path, update):
    straight = build()
    straight.train()
    with pytest.raises(RuntimeError, match="out of memory"):
        build(At(update, fail)).train()
    folder = tmp_path / "out" / f"checkpoint-{update - 1}"
    stored = load_file(folder / "averages.safetensors")
    assert stored["training.passes"].item() == 2 * (update - 1)
    resumed = build()
    resumed.train(resume_from_checkpoint=str(folder))
    assert_same(resumed.iterates.after[9], straight.iterates.after[9])
    assert_same(values(resumed.model), values(straight.model))


def test_a_model_that_is_an_average_is_not_trained_on_by_mistake(build, tmp_path):
    build(max_steps=2, save_strategy="steps").train()
    with pytest.raises(UserError, match="checkpoint-2 is an average of its weights: go on with the same averaging"):
        build(averaging=()).train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2"))


def test_a_model_is_one_average(build):
    with pytest.raises(UserError, match="can be one average of its weights, got 2"):
        build(averaging=("ema", "ema")).train()


def test_checkpoints_take_the_room_of_the_average_too(build, monkeypatch):
    trainer = build(save_strategy="steps")
    averaged = sum(value.numel() for value in without_tied(values(trainer.model)).values())
    assert WeightAveragingCallback("ema").num_bytes(trainer.model) == averaged * (4 + 4)
    assert WeightAveragingCallback("last_k", k=3).num_bytes(trainer.model) == averaged * (4 + 3 * 4)
    needed = 3 * averaged * (4 + 8)  # three checkpoints of weights and Adam's two buffers
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, needed + 1000))
    with pytest.raises(UserError, match="3 more checkpoints of about"):
        trainer.train()
    build(averaging=(), save_strategy="steps", max_steps=1).train()
