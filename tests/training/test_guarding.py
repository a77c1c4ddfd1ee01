"""The step guard in real runs of a tiny model: what goes wrong, and what is left of it."""

import math

import pytest
import torch
from transformers import TrainerCallback

from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.reports.events import read_events
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.guard import GuardOptions

PATIENT = GuardOptions()


class ScaledGradient(torch.autograd.Function):
    """Leaves a loss as it is and scales its gradient."""

    @staticmethod
    def forward(ctx, loss, factor):
        ctx.factor = factor
        return loss.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor, None


class FaultyTrainer(StrategyTrainer):
    """Goes wrong in the updates that it is told: `loss` and `gradient` map an update (from 1) to a factor."""

    def __init__(self, *args, loss=None, gradient=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_factors, self.gradient_factors = loss or {}, gradient or {}

    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        update = self.state.global_step + 1
        loss = ScaledGradient.apply(loss, self.gradient_factors.get(update, 1.0))
        return loss * self.loss_factors[update] if update in self.loss_factors else loss


def column(trainer, name):
    return [row[name] for row in trainer.state.log_history if name in row]


class Weights(TrainerCallback):
    """Keeps a copy of all weights after each update, by its number."""

    def __init__(self):
        self.after = {}

    def on_train_begin(self, args, state, control, model, **kwargs):
        self.after[state.global_step] = [param.detach().clone() for param in model.parameters()]

    def on_step_end(self, args, state, control, model, **kwargs):
        self.after[state.global_step] = [param.detach().clone() for param in model.parameters()]

    def same(self, one, other):
        return all(torch.equal(a, b) for a, b in zip(self.after[one], self.after[other], strict=True))


@pytest.fixture
def train(build_lm, numbered_rows, arguments, tmp_path):
    """Train with faults; return the trainer, its weights after each update, and its guard events."""

    def run(*, loss=None, gradient=None, guard=PATIENT, callback=None, resume=None, **changes):
        weights, path = Weights(), tmp_path / "out" / "events.jsonl"
        args = arguments(**{"save_strategy": "no", "learning_rate": 1e-3, "lr_scheduler_type": "constant", **changes})
        trainer = FaultyTrainer(
            build_lm(), args, train_dataset=numbered_rows, guard=guard, loss=loss, gradient=gradient,
            callbacks=[weights, EventLogCallback(path), *([callback] if callback else [])],
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=resume)
        return trainer, weights, [event for event in read_events(path) if event["event"] == "guard"]

    return run


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("fault", [{"loss": {3: math.nan}}, {"loss": {3: math.inf}}, {"gradient": {3: math.inf}}])
def test_an_update_that_is_not_finite_moves_nothing(train, fault, accumulation):
    trainer, weights, events = train(**fault, max_steps=5, gradient_accumulation_steps=accumulation)
    assert weights.same(2, 3)
    assert not weights.same(3, 4)
    assert all(param.isfinite().all() for param in trainer.model.parameters())
    assert [(event["step"], event["action"]) for event in events] == [(3, "skip")]
    assert trainer.state.global_step == 5


def test_the_schedule_and_the_data_go_on_over_a_skipped_update(train):
    clean, *_ = train(max_steps=6, lr_scheduler_type="linear")
    hurt, *_ = train(max_steps=6, lr_scheduler_type="linear", loss={3: math.nan})
    assert column(hurt, "learning_rate") == column(clean, "learning_rate")
    assert hurt.model.seen == clean.model.seen


def test_the_log_has_the_loss_of_what_was_taken_and_says_what_was_not(train):
    still = {"max_steps": 8, "learning_rate": 1e-12}
    clean, *_ = train(**still, logging_steps=1)
    hurt, *_ = train(**still, logging_steps=3, loss={2: math.nan, 8: math.nan})
    losses = column(clean, "loss")
    first, second = (losses[0] + losses[2]) / 2, sum(losses[3:6]) / 3
    assert column(hurt, "loss") == pytest.approx([first, second], abs=1e-5)
    assert column(hurt, "skipped_updates") == [1]
    assert column(hurt, "train_loss") == pytest.approx([(3 * first + 3 * second + 2 * losses[6]) / 8], abs=1e-5)


def test_a_log_of_nothing_but_bad_updates_says_nan_and_the_next_one_does_not(train):
    trainer, *_ = train(max_steps=2, logging_steps=1, loss={1: math.nan})
    assert [math.isnan(loss) for loss in column(trainer, "loss")] == [True, False]


@pytest.mark.parametrize("fault", [{"loss": {20: 30.0}}, {"gradient": {20: 1000.0}}])
def test_a_spike_is_skipped(train, fault):
    _, weights, events = train(**fault, max_steps=22)
    assert weights.same(19, 20)
    assert [(event["step"], event["action"]) for event in events] == [(20, "skip")]
    assert "far above the usual" in events[0]["reason"]


def test_a_clean_run_is_the_run_without_a_guard(train):
    guarded, ours, events = train(max_steps=20, guard=GuardOptions(snapshot_steps=3))
    free, theirs, _ = train(max_steps=20, guard=None)
    assert events == []
    assert column(guarded, "loss") == column(free, "loss")
    assert all(torch.equal(a, b) for a, b in zip(ours.after[20], theirs.after[20], strict=True))


def test_bad_updates_in_a_row_bring_a_proven_state_back(train):
    guard = GuardOptions(patience=3, snapshot_steps=10)
    trainer, weights, events = train(loss=dict.fromkeys((21, 22, 23), math.nan), guard=guard, max_steps=26)
    assert [event["action"] for event in events] == ["skip", "skip", "rollback"]
    assert events[-1]["returned_to"] == 10  # 20 has one good update after it, and needs 8
    assert weights.same(23, 10)
    assert not weights.same(24, 10)
    assert trainer.state.global_step == 26
    moments = [state["step"].item() for state in trainer.optimizer.state.values()]
    assert set(moments) == {10 + 3}  # the optimizer too went back, and then on


def test_harmed_weights_go_back_though_no_bad_update_was_taken(train):
    """The rate is far too high in one update; what that did shows only in the losses after it."""

    class Blip(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, optimizer, **kwargs):
            if state.global_step + 1 == 31:
                for group in optimizer.param_groups:
                    group["lr"] *= 1000

    trainer, weights, events = train(max_steps=45, guard=GuardOptions(snapshot_steps=10), callback=Blip())
    assert [event["action"] for event in events] == ["skip", "skip", "skip", "rollback"]
    assert [event["step"] for event in events] == [32, 33, 34, 35]
    assert events[-1]["returned_to"] == 20
    assert weights.same(35, 20)
    assert column(trainer, "loss")[-1] < column(trainer, "loss")[20] + 0.1
