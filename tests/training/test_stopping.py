"""Stopping in this process: real signals and files, at moments that a test can choose."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from transformers import TrainerCallback

from hf_strategies.errors import UserError
from hf_strategies.training import StrategyTrainer


class At(TrainerCallback):
    """Does something in the middle of one update: after its first micro-batch."""

    def __init__(self, update, act):
        self.update, self.act = update, act

    def on_substep_end(self, args, state, control, **kwargs):
        if state.global_step == self.update - 1:
            self.act()


def send(number):
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture
def train(build_lm, numbered_rows, arguments):
    """Train with dropout for nine updates, each of two micro-batches; three updates are an epoch."""

    def run(*callbacks, resume=None, options=None, **changes):
        args = arguments(**{"save_strategy": "no", **changes})
        trainer = StrategyTrainer(
            build_lm(),
            args,
            train_dataset=numbered_rows,
            eval_dataset=numbered_rows[:4],
            callbacks=list(callbacks),
            scheduler="linear",
            **(options or {}),
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return run


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").glob("checkpoint-*"))


def history(trainer) -> list[dict]:
    """What was logged, times and speeds and the closing summary aside."""
    timed = ("runtime", "per_second")
    rows = [row for row in trainer.state.log_history if "train_runtime" not in row]
    return [{name: value for name, value in row.items() if not name.endswith(timed)} for row in rows]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_stops_after_its_update_and_leaves_that_updates_checkpoint(train, tmp_path, name):
    trainer = train(At(4, send(getattr(signal, name))))
    assert (trainer.stopped_by, trainer.state.global_step) == (name, 4)
    assert checkpoints(tmp_path) == ["checkpoint-4"]


EPOCHLY = {"eval_strategy": "epoch", "save_strategy": "epoch"}
STEPWISE = {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2}


@pytest.mark.parametrize("strategies", [EPOCHLY, STEPWISE], ids=["epochs", "steps"])
@pytest.mark.parametrize("update", [1, 2, 3, 6, 8, 9])  # within epochs, at their ends, at the run's end
def test_what_a_stop_leaves_goes_on_as_if_nothing_had_happened(train, tmp_path, update, strategies):
    strategies = {**strategies, "logging_steps": 3}
    straight = train(**strategies)
    stopped = train(At(update, send(signal.SIGTERM)), output_dir=f"{tmp_path}/stopped", **strategies)
    assert stopped.state.global_step == update
    checkpoint = f"{tmp_path}/stopped/checkpoint-{update}"
    resumed = train(output_dir=f"{tmp_path}/stopped", resume=checkpoint, **strategies) if update < 9 else stopped
    assert resumed.stopped_by == (None if update < 9 else "SIGTERM")
    assert history(resumed) == history(straight)
    for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
