"""A fine-tuning run that is stopped, goes on, is finished, or finds other examples than it began with."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
EPOCHS, UPDATES = 3, 15


@pytest.fixture
def examples(tmp_path, real_data):
    """Forty real questions to train on, and a dozen to validate on."""
    lines = real_data("text_classification/TREC.train.all").read_bytes().decode("latin-1").split("\n")[:52]
    train, held = tmp_path / "train.all", tmp_path / "held.all"
    train.write_text("\n".join(lines[:40]) + "\n")
    held.write_text("\n".join(lines[40:]) + "\n")
    return train, held


@pytest.fixture
def flags(examples, text_checkpoint):
    """A run in which all that draws or remembers anything is at work."""
    train, held = examples
    return [
        "--task", "text-classification", "--model_name_or_path", text_checkpoint("bert"),
        "--num_train_epochs", str(EPOCHS), "--train_file", str(train), "--validation_file", str(held),
        "--text_augmentation", "aeda,token_dropout",
        "--config_overrides", "hidden_dropout_prob=0.1", "--averaging", "ema", "--averaging_kwargs", "decay=0.8",
        "--r_drop", "1.0", "--balanced_sampling", "2", "--load_best_model_at_end", "false",
        "--save_total_limit", "3",
    ]  # fmt: skip


def logged(folder: Path, name: str) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [row[name] for row in history if name in row]


def test_a_stopped_run_goes_on_to_the_weights_of_one_that_was_not(finetune, flags, forked_python, tmp_path, capsys):
    results, straight = finetune(*flags, name="straight")
    folder = tmp_path / "stopped"
    command = [
        forked_python,
        "scripts/finetune.py",
        str(tmp_path / "quick.yaml"),
        "--output_dir",
        str(folder),
        *flags,
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    assert process.stdout is not None
    next(line for line in process.stdout if line.lstrip().startswith("7/"))
    process.send_signal(signal.SIGTERM)
    said = process.stdout.read()
    assert process.wait() == 143
    assert "stopped: SIGTERM after update" in said
    assert not (folder / "all_results.json").exists()
    resumed, _ = finetune(*flags, name="stopped")
    assert f"resuming from {folder / 'checkpoint-'}" in capsys.readouterr().out
    ours, theirs = (load_file(path / "model.safetensors") for path in (folder, straight))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert logged(folder, "loss") == logged(straight, "loss")
    assert logged(folder, "eval_accuracy") == logged(straight, "eval_accuracy")
    assert resumed["eval_loss"] == results["eval_loss"]


def test_a_finished_folder_says_so_and_trains_nothing(finetune, flags, capsys):
    results, folder = finetune(*flags, "--max_train_samples", "8")
    before = (folder / "model.safetensors").stat().st_mtime_ns
    capsys.readouterr()
    again, _ = finetune(*flags, "--max_train_samples", "8")
    assert again == results
    assert f"{folder} holds this run, finished" in capsys.readouterr().out
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


@pytest.fixture
def unfinished(finetune, flags):
    """A folder as a run leaves it that ended after its first epoch."""
    _, folder = finetune(*flags)
    (folder / "all_results.json").unlink()
    for step in (2, 3):
        shutil.rmtree(folder / f"checkpoint-{step * UPDATES // EPOCHS}", ignore_errors=True)
    return folder


@pytest.mark.parametrize("changed", ["text", "label"])
def test_other_examples_are_refused_unless_they_are_allowed(
    refuse_finetune, finetune, flags, examples, unfinished, changed, capsys
):
    train, _ = examples
    label, _, text = train.read_text().partition(" ")
    train.write_text(f"{label} And {text}" if changed == "text" else f"{(int(label) + 1) % 6} {text}")
    said = refuse_finetune(*flags)
    assert said.startswith(f"error: the examples have changed since {unfinished / 'checkpoint-5'}: digest ")
    assert said.endswith("or go on with --allow_change data")
    results, _ = finetune(*flags, "--allow_change", "data")
    assert f"resuming from {unfinished / 'checkpoint-5'}" in capsys.readouterr().out
    assert results["epoch"] == EPOCHS
