"""What is done about bad updates in a row, in real runs of a tiny model: where it goes back to, and when it stops."""

import math
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.checkpoints.manifest import read_manifest
from hf_strategies.errors import TrainingDivergedError
from hf_strategies.reports.events import read_events
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.guard import GuardOptions


class Blip(TrainerCallback):
    """The rate is far too high in one update; what that did shows only in the losses after it."""

    def __init__(self, update):
        self.update = update

    def on_pre_optimizer_step(self, args, state, control, optimizer, **kwargs):
        if state.global_step + 1 == self.update:
            for group in optimizer.param_groups:
                group["lr"] *= 1000


class Harder(TrainerCallback):
    """From one update on the data are others: a higher loss in training, and no harm."""

    def __init__(self, update, more=5.0):
        self.update, self.more = update, more

    def on_train_begin(self, args, state, control, model, **kwargs):
        def change(module, _, output):
            if module.training and state.global_step + 1 >= self.update:
                output["loss"] = output["loss"] + self.more
            return output

        model.register_forward_hook(change)


def guard_events(folder):
    return [event for event in read_events(folder / "events.jsonl") if event["event"] == "guard"]


def returns(events):
    return [(event["step"], event["returned_to"]) for event in events if event["action"] == "rollback"]


def health(folder):
    found = {int(path.name.rpartition("-")[2]): read_manifest(path) for path in folder.glob("checkpoint-*")}
    return {step: manifest.get("healthy") for step, manifest in sorted(found.items())}


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
    trainer, weights, events = train(max_steps=45, guard=GuardOptions(snapshot_steps=10), callback=Blip(31))
    assert [event["action"] for event in events] == ["skip", "skip", "skip", "rollback"]
    assert [event["step"] for event in events] == [32, 33, 34, 35]
    assert events[-1]["returned_to"] == 20
    assert weights.same(35, 20)
    assert trainer.column("loss")[-1] < trainer.column("loss")[20] + 0.1


def test_a_return_that_did_not_help_goes_further_back_and_in_the_end_training_stops(train, tmp_path):
    guard = GuardOptions(patience=1, rollbacks=3, snapshot_steps=10)
    bad = dict.fromkeys(range(30, 60), math.nan)
    with pytest.raises(TrainingDivergedError, match=r"update 44: loss is nan; 8 updates in a row .* after 3 returns"):
        train(loss=bad, guard=guard, max_steps=60)
    events = guard_events(tmp_path / "out")
    assert returns(events) == [(30, 20), (32, 20), (36, 10)]  # after 1 bad update, 2 more, 4 more; 8 more end the run
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
    assert returns(events) == [(25, 24), (33, 32)]
    assert weights.same(21, 41)
    assert not weights.same(41, 42)


def test_twenty_poisoned_updates_in_a_row_are_survived_with_the_defaults(train):
    trainer, _, events = train(loss=dict.fromkeys(range(25, 45), 50.0), max_steps=50)
    assert len(events) == 20
    assert trainer.state.global_step == 50
    assert math.isfinite(trainer.column("loss")[-1])


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
    assert trainer.column("learning_rate") == clean.column("learning_rate")  # the schedule has not gone back


def test_checkpoints_that_nobody_has_judged_displace_no_proven_one(train, tmp_path):
    trainer, _, events = train(
        max_steps=45, guard=GuardOptions(snapshot_steps=0), callback=Blip(31), gradient_accumulation_steps=1,
        save_strategy="steps", save_steps=1, save_total_limit=2,
    )  # fmt: skip
    ((step, returned_to),) = returns(events)
    assert (step, returned_to) == (35, 25)  # of 34, 33, 29 and 25 only the last was proven
    assert trainer.column("loss")[-1] < trainer.column("loss")[20] + 0.1
    assert list(health(tmp_path / "out").values()) == [True, None, None]


def test_the_newest_proven_state_is_taken_from_disk_or_memory_and_none_twice_in_vain(train, tmp_path):
    guard = GuardOptions(patience=1, rollbacks=4, snapshot_steps=25)
    with pytest.raises(TrainingDivergedError):
        train(
            loss=dict.fromkeys(range(45, 90), math.nan), guard=guard, max_steps=90, gradient_accumulation_steps=1,
            save_strategy="steps", save_steps=7,
        )  # fmt: skip
    events = guard_events(tmp_path / "out")
    assert returns(events) == [(45, 35), (47, 35), (51, 28), (59, 28)]  # 42 has two good updates after it, and needs 4


@pytest.mark.parametrize("at", [25, 31, 33])  # before the harm, in it, and in the bad streak that follows
def test_a_resumed_run_goes_back_where_the_straight_one_does(train, tmp_path, at):
    once = {"max_steps": 40, "save_strategy": "steps", "save_steps": 1, "gradient_accumulation_steps": 1}
    straight, _, events = train(**once, callback=Blip(31))
    expected = health(tmp_path / "out")
    for step in range(at + 1, 41):
        shutil.rmtree(tmp_path / "out" / f"checkpoint-{step}")
    (tmp_path / "out" / "events.jsonl").unlink()
    resumed, _, again = train(**once, callback=Blip(31), resume=f"{tmp_path}/out/checkpoint-{at}")
    assert returns(again) == returns(events) == [(35, 27)]
    assert health(tmp_path / "out") == expected
    for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_run_that_is_resumed_with_harmed_weights_does_not_take_them_for_proven(train, tmp_path):
    once = {"max_steps": 40, "save_strategy": "steps", "save_steps": 31, "gradient_accumulation_steps": 1}
    train(**once, callback=Blip(31))
    (tmp_path / "out" / "events.jsonl").unlink()
    with pytest.raises(TrainingDivergedError, match="there is no healthy checkpoint"):
        train(**once, guard=GuardOptions(patience=1, rollbacks=1), resume=f"{tmp_path}/out/checkpoint-31")
    assert returns(guard_events(tmp_path / "out")) == [(32, None)]


def test_a_run_that_would_end_with_harmed_weights_goes_back_first(train, tmp_path):
    once = {"gradient_accumulation_steps": 1, "save_strategy": "steps", "save_steps": 50}
    trainer, weights, events = train(**once, max_steps=33, callback=Blip(31))
    assert [(event["step"], event["action"]) for event in events] == [(32, "skip"), (33, "rollback")]
    assert weights.same(33, 20)
    saved = load_file(tmp_path / "out" / "checkpoint-33" / "model.safetensors")
    assert torch.equal(saved["transformer.h.0.attn.c_attn.weight"], trainer.model.transformer.h[0].attn.c_attn.weight)


def test_a_run_that_would_end_with_harmed_weights_and_has_nothing_else_stops(train):
    with pytest.raises(TrainingDivergedError, match="there is no healthy checkpoint"):
        train(max_steps=33, gradient_accumulation_steps=1, callback=Blip(31), guard=GuardOptions(snapshot_steps=0))


def test_a_last_update_whose_data_are_bad_costs_no_other(train):
    _, weights, events = train(max_steps=24, callback=Harder(24))
    assert [(event["step"], event["action"]) for event in events] == [(24, "skip")]
    assert weights.same(24, 23)


def test_a_usual_loss_says_nothing_for_weights_whose_gradient_is_bad(train):
    _, weights, events = train(gradient=dict.fromkeys(range(31, 35), math.inf), max_steps=36)
    assert returns(events) == [(34, 20)]
    assert weights.same(34, 20)


def test_data_that_have_changed_for_good_become_the_usual_ones(train):
    guard = GuardOptions(patience=2, rollbacks=1)
    trainer, weights, events = train(max_steps=50, guard=guard, callback=Harder(30), gradient_accumulation_steps=1)
    assert [event["action"] for event in events] == ["skip", "rollback", "skip", "skip", "skip", "adapt"]
    assert weights.same(35, 29)
    assert not weights.same(35, 36)
    assert trainer.state.global_step == 50


def test_data_without_a_finite_loss_stop_a_run_whose_weights_are_fine_and_say_so(train):
    guard = GuardOptions(patience=2, rollbacks=1)
    with pytest.raises(TrainingDivergedError, match=r"the weights are fine.*: look at the examples"):
        train(max_steps=50, guard=guard, callback=Harder(30, math.nan), gradient_accumulation_steps=1)


def test_what_cannot_be_asked_is_not_fine_and_does_not_end_the_run(train):
    class Untold(TrainerCallback):
        def on_train_begin(self, args, state, control, model, **kwargs):
            def refuse(module, *_):
                if not module.training:
                    raise RuntimeError("only for training")

            model.register_forward_pre_hook(refuse)

    *_, events = train(max_steps=36, loss=dict.fromkeys(range(31, 35), math.nan), callback=Untold())
    assert returns(events) == [(34, 20)]


def test_a_loss_that_needs_the_number_of_items_is_asked_with_it(build_lm, numbered_rows, arguments, tmp_path):
    def loss_of(outputs, labels, num_items_in_batch):
        logits, targets = outputs.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
        loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum") / num_items_in_batch
        is_bad = trainer.model.training and trainer.state.global_step + 1 in range(31, 35)
        return loss * math.nan if is_bad else loss

    args = arguments(save_strategy="no", max_steps=36, gradient_accumulation_steps=1, learning_rate=1e-3)
    log = EventLogCallback(tmp_path / "out" / "events.jsonl")
    trainer = StrategyTrainer(
        build_lm(), args, train_dataset=numbered_rows, compute_loss_func=loss_of, callbacks=[log]
    )
    trainer.train()
    assert returns(guard_events(tmp_path / "out")) == [(34, 33)]  # the weights are fine, and stay


def test_batches_may_be_of_any_kind(arguments, tmp_path):
    class Pairs(StrategyTrainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            values, targets = inputs
            is_bad = model.training and self.state.global_step + 1 in range(31, 35)
            return (model(values)[:, 0] - targets).square().mean() * (math.nan if is_bad else 1.0)

    data = [(torch.tensor([float(n % 3), 1.0]), torch.tensor(1.0)) for n in range(16)]
    args = arguments(save_strategy="no", max_steps=36, remove_unused_columns=False)
    Pairs(
        torch.nn.Linear(2, 1), args, train_dataset=data,
        data_collator=lambda pairs: tuple(torch.stack(values) for values in zip(*pairs, strict=True)),
        callbacks=[EventLogCallback(tmp_path / "out" / "events.jsonl")],
    ).train()  # fmt: skip
    assert returns(guard_events(tmp_path / "out")) == [(34, 33)]
