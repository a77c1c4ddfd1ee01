import time

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState

from hf_strategies.callbacks.throughput import Machine, ThroughputCallback, Work, rates, work_of
from hf_strategies.distributed.devices import PeakRate


def train(model, args, rows, *callbacks) -> Trainer:
    trainer = Trainer(model, args, train_dataset=rows, eval_dataset=rows[:8], callbacks=list(callbacks))
    trainer.train()
    return trainer


def test_rates_by_hand():
    work = Work(samples=8, tokens=1024, attended=1024 * 128, seconds=2.0)
    machine = Machine(num_replicas=4, num_devices=8, peak=PeakRate(1e6, measured=False))
    assert rates(work, machine, lambda length: 10.0 * length) == {
        "samples_per_second": 16.0,
        "tokens_per_second": 2048.0,
        "flops_per_second": 1280.0 * 2048.0,  # ten operations for each of 128 tokens
        "mfu": 1280.0 * 2048.0 / 8e6,
    }


def test_a_measured_peak_says_so_in_the_metrics_name():
    work = Work(samples=1, tokens=4, attended=16, seconds=1.0)
    found = rates(work, Machine(1, 1, PeakRate(100.0, measured=True)), lambda _: 5.0)
    assert found["mfu_of_measured_peak"] == 0.2
    assert "mfu" not in found


def test_a_peak_that_was_measured_too_low_gives_no_share_of_it():
    work = Work(samples=1, tokens=4, attended=16, seconds=1.0)  # 20 operations per second
    assert "mfu_of_measured_peak" not in rates(work, Machine(1, 1, PeakRate(19.0, measured=True)), lambda _: 5.0)
    assert rates(work, Machine(1, 1, PeakRate(20.0, measured=True)), lambda _: 5.0)["mfu_of_measured_peak"] == 1.0


def test_what_is_not_known_is_left_out():
    machine = Machine(1, 1, None)
    assert rates(Work(), machine, lambda _: 1.0) == {}
    assert rates(Work(samples=2, seconds=1.0), machine, lambda _: 1.0) == {"samples_per_second": 2.0}
    tokens = Work(samples=2, tokens=8, attended=32, seconds=1.0)
    assert set(rates(tokens, machine, lambda _: None)) == {"samples_per_second", "tokens_per_second"}
    assert "mfu" not in rates(tokens, machine, lambda _: 1.0)


def test_images_are_samples_without_tokens():
    assert work_of(torch.zeros(4, 3, 8, 8)) == Work(samples=4)
    assert work_of(torch.zeros(4, 16, dtype=torch.long)) == Work(samples=4, tokens=64, attended=64 * 16)


@pytest.mark.parametrize(("num_gpus", "num_devices"), [(0, 1), (1, 1), (4, 4)])
def test_every_device_of_one_process_counts(tiny_lm, arguments, num_gpus, num_devices):
    args, probe = arguments(), ThroughputCallback()
    assert args.world_size == 1
    args._n_gpu = num_gpus
    probe.on_train_begin(args, TrainerState(), TrainerControl(), model=tiny_lm)
    assert probe._machine.num_devices == num_devices


class Nap(TrainerCallback):
    """Takes a known time at one event."""

    def __init__(self, event: str, seconds: float):
        setattr(self, event, lambda *_, **__: time.sleep(seconds))


@pytest.mark.parametrize("before", [True, False])
def test_evaluation_and_saving_are_left_out_and_steps_are_not(tiny_lm, token_rows, arguments, before):
    args = arguments(eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2, logging_steps=4)
    probe = ThroughputCallback()
    naps = [Nap("on_substep_end", 0.0), Nap("on_evaluate", 0.5), Nap("on_pre_optimizer_step", 0.1)]
    trainer = train(tiny_lm, args, token_rows, *([*naps, probe] if before else [probe, *naps]))
    seconds = 16 / probe.latest["samples_per_second"]  # 4 steps of 4 rows
    assert 0.4 <= seconds < 1.0  # four naps of 0.1 s in steps; the two of 0.5 s in evaluations are not there
    assert trainer.state.log_history[-1]["train_runtime"] > 1.4


def test_counts_training_tokens_only_and_takes_its_hook_away(tiny_lm, token_rows, arguments):
    probe = ThroughputCallback()
    args = arguments(gradient_accumulation_steps=2, eval_strategy="steps", eval_steps=1)
    trainer = train(tiny_lm, args, token_rows, probe)
    summary = probe.summary()
    assert summary["train_tokens_per_second"] / summary["train_samples_per_second"] == pytest.approx(16)
    assert probe._done.tokens == 4 * 2 * 4 * 16  # updates x accumulation x rows x tokens
    assert not tiny_lm._forward_pre_hooks
    trainer.train()
    assert probe._done.tokens == 4 * 2 * 4 * 16  # the second run starts from nothing


def test_a_plain_trainer_has_the_numbers_in_its_history(tiny_lm, token_rows, arguments):
    probe = ThroughputCallback()
    trainer = train(tiny_lm, arguments(), token_rows, probe)
    rows = [row for row in trainer.state.log_history if "loss" in row]
    assert len(rows) == 4
    assert all(0 < row["mfu_of_measured_peak"] < 1 for row in rows)
    assert rows[-1]["tokens_per_second"] == probe.latest["tokens_per_second"]


def test_frozen_weights_have_no_flops_rather_than_wrong_ones(tiny_lm, token_rows, arguments):
    tiny_lm.model.embed_tokens.requires_grad_(False)
    probe = ThroughputCallback()
    train(tiny_lm, arguments(), token_rows, probe)
    assert set(probe.latest) == {"samples_per_second", "tokens_per_second"}


def test_counts_through_a_compiled_model(tiny_lm, token_rows, arguments):
    probe = ThroughputCallback()
    args = arguments(torch_compile=True, torch_compile_backend="eager", max_steps=2, logging_steps=2)
    train(tiny_lm, args, token_rows, probe)
    assert probe._done.tokens == 2 * 4 * 16
