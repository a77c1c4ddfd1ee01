"""The step guard in real runs of a tiny model: what goes wrong, and what is left of it."""

import base64
import json
import math

import pytest
import torch
from accelerate.state import AcceleratorState
from transformers.trainer_pt_utils import LayerWiseDummyOptimizer

from hf_strategies.training import StrategyTrainer
from hf_strategies.training.guard import GuardOptions


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
    assert hurt.column("learning_rate") == clean.column("learning_rate")
    assert hurt.model.seen == clean.model.seen


def test_the_log_has_the_loss_of_what_was_taken_and_says_what_was_not(train):
    still = {"max_steps": 8, "learning_rate": 1e-12}
    clean, *_ = train(**still, logging_steps=1)
    hurt, *_ = train(**still, logging_steps=3, loss={2: math.nan, 8: math.nan})
    losses = clean.column("loss")
    first, second = (losses[0] + losses[2]) / 2, sum(losses[3:6]) / 3
    assert hurt.column("loss") == pytest.approx([first, second], abs=1e-5)
    assert hurt.column("skipped_updates") == [1]
    assert hurt.column("train_loss") == pytest.approx([(3 * first + 3 * second + 2 * losses[6]) / 8], abs=1e-5)


@pytest.mark.parametrize(("bad", "every"), [((9, 10), 8), ((1, 2), 1)])  # all since the last log; all before the first
def test_updates_without_a_loss_are_no_zeros_in_that_of_the_run(train, bad, every):
    still = {"max_steps": 10, "learning_rate": 1e-12, "logging_steps": every}
    trainer, *_ = train(**still, loss=dict.fromkeys(bad, math.nan))
    (of_the_run,) = trainer.column("train_loss")
    losses = [loss for loss in trainer.column("loss") if math.isfinite(loss)]
    assert of_the_run == pytest.approx(sum(losses) / len(losses), rel=0.02)


def test_a_log_of_nothing_but_bad_updates_says_nan_and_the_next_one_does_not(train):
    trainer, *_ = train(max_steps=2, logging_steps=1, loss={1: math.nan})
    assert [math.isnan(loss) for loss in trainer.column("loss")] == [True, False]


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
    assert guarded.column("loss") == free.column("loss")
    assert all(torch.equal(a, b) for a, b in zip(ours.after[20], theirs.after[20], strict=True))


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
def train_in_fp16(faulty_trainer, build_lm, numbered_rows, arguments):
    """Train as accelerate does in fp16, with its scaler; it offers none on a CPU by itself."""

    def run(*, scale, optim="adamw_torch_fused", **faults):
        args = arguments(save_strategy="no", max_steps=8, gradient_accumulation_steps=1, logging_steps=1, optim=optim)
        trainer = faulty_trainer(build_lm(), args, train_dataset=numbered_rows, **faults)
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
    assert trainer.column("fp16_overflows") == [1]
    assert not trainer.column("skipped_updates")
    assert trainer.accelerator.scaler.get_scale() == 32768.0


def test_in_fp16_what_no_scale_can_help_is_bad(train_in_fp16):
    trainer = train_in_fp16(scale=4.0, gradient=dict.fromkeys((2, 3, 4), math.inf), loss={6: math.nan})
    assert trainer.column("fp16_overflows") == [1, 1]  # at scales 4 and 2; at 1 it is the gradient itself
    assert trainer.column("skipped_updates") == [1, 1]
    assert all(param.isfinite().all() for param in trainer.model.parameters())


@pytest.mark.parametrize("optim", ["adamw_torch", "adamw_torch_fused"])
def test_in_fp16_a_bad_loss_holds_neither_the_schedule_back_nor_the_scale_down(train_in_fp16, optim):
    trainer = train_in_fp16(scale=4.0, optim=optim, loss={3: math.nan, 4: math.nan})
    assert trainer.column("skipped_updates") == [1, 1]
    assert trainer.column("learning_rate") == pytest.approx([5e-5 * (1 - step / 8) for step in range(8)])
    assert trainer.accelerator.scaler.get_scale() == 4.0


def test_an_optimizer_that_does_not_wait_for_the_guard_is_told_of(build_lm, numbered_rows, arguments, caplog):
    optimizer = LayerWiseDummyOptimizer(optimizer_dict={})
    args = arguments(save_strategy="no", max_steps=1)
    StrategyTrainer(build_lm(), args, train_dataset=numbered_rows, optimizers=(optimizer, None)).train()
    assert "skips no update of an optimizer that steps inside the backward pass" in caplog.text
