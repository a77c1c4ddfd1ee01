"""Schedules as a user of the script writes them: what the run logs is the curve."""

import json
from pathlib import Path

import pytest
import torch

from hf_strategies.schedulers import schedule_curve
from scripts.pretrain import main


def logged(folder: Path, name: str) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [row[name] for row in history if name in row]


def test_a_warmup_in_tokens_is_a_warmup_of_updates_and_is_remembered_as_written(pretrain, tiny, tmp_path, capsys):
    _, folder = pretrain("--warmup_steps", "1k tokens", "--learning_rate", "1e-3")  # 256 tokens an update: 3.9
    assert "linear after 4 warmup" in capsys.readouterr().out
    curve = schedule_curve("linear", num_training_steps=12, num_warmup_steps=4)
    assert logged(folder, "learning_rate") == pytest.approx([1e-3 * curve(step) for step in range(12)])
    assert "warmup_steps: 1k tokens  # --warmup_steps" in (folder / "resolved_config.yaml").read_text()
    main([str(folder / "resolved_config.yaml"), "--output_dir", str(tmp_path / "again")])
    assert logged(tmp_path / "again", "learning_rate") == logged(folder, "learning_rate")


def test_a_warmup_in_epochs_reaches_the_hosts_schedules_too(pretrain):
    # 118 blocks or so of 32 bytes make 8 a batch: half an epoch is a number that only the data tell.
    flags = ["--max_steps", "-1", "--num_train_epochs", "0.5", "--warmup_steps", "0.25 epochs"]
    _, folder = pretrain(*flags, "--lr_scheduler_type", "constant_with_warmup", "--learning_rate", "1e-3")
    rates = logged(folder, "learning_rate")
    rising = [rate for rate in rates if rate < 1e-3]
    assert rising == pytest.approx([1e-3 * step / len(rising) for step in range(len(rising))])
    assert abs(2 * len(rising) - len(rates)) <= 2


def test_a_schedule_with_its_own_rise_takes_the_place_of_the_recipes_warmup(pretrain, capsys):
    _, folder = pretrain("--scheduler", "one_cycle", "--learning_rate", "1e-3")
    assert "scheduler one_cycle (--scheduler) replaces warmup_steps" in capsys.readouterr().out
    curve = schedule_curve("one_cycle", num_training_steps=12)
    assert logged(folder, "learning_rate") == pytest.approx([1e-3 * curve(step) for step in range(12)])


def test_the_rate_follows_the_loss_of_evaluations(pretrain):
    # Noise alone decides whether a loss that has to get 10 times lower does: it does not, and each evaluation halves.
    shape = "factor=0.5,patience=0,threshold=0.9"
    _, folder = pretrain(
        "--scheduler", "reduce_on_plateau", "--scheduler_kwargs", shape, "--eval_steps", "3", "--learning_rate", "1e-3"
    )
    rates = [rate / 1e-3 for rate in logged(folder, "learning_rate")]
    assert rates == pytest.approx([1.0] * 6 + [0.5] * 3 + [0.25] * 3)


def test_a_lower_perplexity_is_a_better_one(pretrain):
    _, folder = pretrain(
        "--scheduler", "reduce_on_plateau", "--scheduler_kwargs", "factor=0.5,patience=0,threshold=0.0",
        "--metric_for_best_model", "perplexity", "--eval_steps", "3", "--learning_rate", "1e-3",
    )  # fmt: skip
    found, rates = logged(folder, "eval_perplexity"), [1e-3]
    assert found[1] < found[0]
    for number, perplexity in enumerate(found):
        rates.append(rates[-1] * (1.0 if perplexity == min(found[: number + 1]) else 0.5))
    assert logged(folder, "learning_rate") == pytest.approx([rate for rate in rates[:4] for _ in range(3)])
    assert json.loads((folder / "trainer_state.json").read_text())["best_metric"] == min(found)


def test_a_hyperparameter_follows_its_own_curve(pretrain, tiny, tmp_path):
    curves = '{"weight_decay": {"scheduler": "step", "step_size": "1k tokens", "gamma": 0.5}}'
    _, folder = pretrain("--optimizer", "adamw", "--learning_rate", "1e-3", "--hyperparameter_curves", curves)
    saved = torch.load(folder / "checkpoint-12" / "optimizer.pt", weights_only=True)["param_groups"]
    # The last update is the 11th after the first, of 256 tokens: the curve has halved the decay of 0.1 twice.
    assert {(group["initial_weight_decay"], group["weight_decay"]) for group in saved} == {(0.1, 0.025), (0.0, 0.0)}
