"""The step guard in real runs of a tiny model: what goes wrong, and what is left of it."""

import base64
import json
import math

import pytest
import torch
from accelerate.state import AcceleratorState
from transformers import TrainerCallback

from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.checkpoints.manifest import read_manifest
from hf_strategies.errors import TrainingDivergedError
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
    assert events[-1]["returned_to"] == 10  # 20 has no good update after it, and needs 4
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


def test_a_return_that_did_not_help_goes_further_back_and_in_the_end_training_stops(train, tmp_path):
    guard = GuardOptions(patience=1, rollbacks=3, snapshot_steps=10)
    bad = dict.fromkeys(range(30, 60), math.nan)
    with pytest.raises(TrainingDivergedError, match=r"update 44: loss is nan; 8 updates in a row .* after 3 returns"):
        train(loss=bad, guard=guard, max_steps=60)
    events = [event for event in read_events(tmp_path / "out" / "events.jsonl") if event["event"] == "guard"]
    returns = [(event["step"], event["returned_to"]) for event in events if event["action"] == "rollback"]
    assert returns == [(30, 20), (32, 20), (36, 10)]  # after 1 bad update, 2 more, 4 more; 8 more end the run
    assert [event["action"] for event in events].count("skip") == 1 + 2 + 4 + 8 - 4
    assert events[-1]["action"] == "stop"


def test_weights_that_are_fine_stay_where_the_data_are_to_blame(train):
    class Poison(TrainerCallback):
        """Raises the loss of what is trained on, and of nothing else."""

        def on_train_begin(self, args, state, control, model, **kwargs):
            def spoil(module, _, output):
                if module.training and state.global_step + 1 in range(22, 42):
                    output["loss"] = output["loss"] * 30
                return output

            model.register_forward_hook(spoil)

    _, weights, events = train(max_steps=45, callback=Poison())
    assert [event["step"] for event in events] == list(range(22, 42))
    assert [event["returned_to"] for event in events if event["action"] == "rollback"] == [24, 32]
    assert weights.same(21, 41)
    assert not weights.same(41, 42)


def test_twenty_poisoned_updates_in_a_row_are_survived_with_the_defaults(train):
    trainer, _, events = train(loss=dict.fromkeys(range(25, 45), 50.0), max_steps=50)
    assert len(events) == 20
    assert trainer.state.global_step == 50
    assert math.isfinite(column(trainer, "loss")[-1])


def test_a_checkpoint_is_what_is_left_where_nothing_is_kept_in_memory(train, tmp_path):
    guard = GuardOptions(patience=2, snapshot_steps=0)
    trainer, weights, events = train(
        loss=dict.fromkeys((24, 25), math.nan), guard=guard, max_steps=27,
        save_strategy="steps", save_steps=7, lr_scheduler_type="linear",
    )  # fmt: skip
    assert events[-1]["returned_to"] == 14  # 21 has two good updates after it, and needs 4
    assert weights.same(25, 14)
    health = {step: read_manifest(tmp_path / "out" / f"checkpoint-{step}").get("healthy") for step in (7, 14, 21)}
    assert health == {7: True, 14: True, 21: False}
    clean, *_ = train(guard=None, max_steps=27, lr_scheduler_type="linear")
    assert column(trainer, "learning_rate") == column(clean, "learning_rate")  # the schedule has not gone back


def test_the_rate_is_lower_after_a_return_and_the_log_says_so(train):
    guard = GuardOptions(patience=1, snapshot_steps=10, lr_scale=0.25)
    trainer, weights, _ = train(loss={15: math.nan}, guard=guard, max_steps=130, learning_rate=1e-6)
    rates = [rate / 1e-6 for rate in column(trainer, "learning_rate")]
    assert rates == pytest.approx([1.0] * 14 + [0.25] * 101 + [1.0] * 15)
    moves = [
        sum((new - old).abs().sum().item() for new, old in zip(weights.after[step], weights.after[step - 1]))
        for step in (115, 116)
    ]
    assert moves[1] / moves[0] == pytest.approx(4.0, rel=0.2)  # Adam's steps are as long as the rate says


def test_an_incident_can_be_lived_through_again(train, tmp_path, numbered_rows):
    trainer, _, events = train(loss={1: math.nan}, max_steps=1)
    incident = json.loads((tmp_path / "out" / "incident-1.json").read_text())
    assert incident["examples"] == events[0]["examples"] == trainer.model.seen
    assert incident["ranks"][0]["micro_losses"] == ["NaN", "NaN"]
    trainer, *_ = train(gradient={20: math.inf}, max_steps=20)
    incident = json.loads((tmp_path / "out" / "incident-20.json").read_text())
    (mine,) = incident["ranks"]
    torch.set_rng_state(torch.frombuffer(bytearray(base64.b64decode(mine["random"]["torch"])), dtype=torch.uint8))
    for examples, loss in zip((incident["examples"][:4], incident["examples"][4:]), mine["micro_losses"], strict=True):
        rows = torch.stack([numbered_rows[index]["input_ids"] for index in examples])
        trainer.model.train()  # with dropout: the same random numbers, or another loss
        ours = trainer.model(input_ids=rows, labels=rows, num_items_in_batch=8 * 8).loss  # 8 rows of 8 labels
        assert ours.item() == pytest.approx(loss, abs=1e-6)


def test_a_resumed_run_remembers_what_is_usual(train, tmp_path):
    train(max_steps=20, save_strategy="steps", save_steps=10)
    _, weights, events = train(max_steps=22, resume=f"{tmp_path}/out/checkpoint-20", loss={21: 30.0})
    assert [event["step"] for event in events] == [21]  # the first update after it
    assert weights.same(20, 21)


def test_statistics_that_a_bad_forward_pass_has_moved_come_back(arguments):
    class Normed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.head = torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1)

        def forward(self, values):
            return {"loss": self.head(self.norm(values)).square().mean()}

    rows = [{"values": torch.tensor([float(i), math.nan if i == 5 else 1.0 - i])} for i in range(8)]
    args = arguments(save_strategy="no", max_steps=4, per_device_train_batch_size=2, gradient_accumulation_steps=1)
    model = Normed()
    trainer = StrategyTrainer(model, args, train_dataset=rows)
    trainer.train()
    assert model.norm.running_mean.isfinite().all()
    assert model.norm.num_batches_tracked == 3


@pytest.fixture
def train_in_fp16(build_lm, numbered_rows, arguments):
    """Train as accelerate does in fp16, with its scaler; it offers none on a CPU by itself."""

    def run(*, scale, **faults):
        args = arguments(save_strategy="no", max_steps=8, gradient_accumulation_steps=1, logging_steps=1)
        trainer = FaultyTrainer(build_lm(), args, train_dataset=numbered_rows, **faults)
        trainer.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        trainer.accelerator.native_amp = True
        trainer.accelerator.state._mixed_precision = "fp16"
        try:
            trainer.train()
        finally:
            AcceleratorState._reset_state(reset_partial_state=True)
        return trainer

    return run


def test_a_gradient_that_overflows_in_fp16_is_counted_and_the_scaler_answers(train_in_fp16):
    trainer = train_in_fp16(scale=65536.0, gradient={2: 1e38})
    assert column(trainer, "fp16_overflows") == [1]
    assert not column(trainer, "skipped_updates")
    assert trainer.accelerator.scaler.get_scale() == 32768.0


def test_in_fp16_what_no_scale_can_help_is_bad(train_in_fp16):
    trainer = train_in_fp16(scale=4.0, gradient=dict.fromkeys((2, 3, 4), math.inf), loss={6: math.nan})
    assert column(trainer, "fp16_overflows") == [1, 1]  # at scales 4 and 2; at 1 it is the gradient itself
    assert column(trainer, "skipped_updates") == [1, 1]
    assert all(param.isfinite().all() for param in trainer.model.parameters())
