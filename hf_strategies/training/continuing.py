"""Trainer that takes up over a resume what the host forgets: the loss that was not logged yet, callbacks' states."""

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl

from hf_strategies.callbacks.early_stopping import EarlyStoppingCallback
from hf_strategies.errors import UserError, first_line
from hf_strategies.training.guard.snapshot import keeps_state
from hf_strategies.training.host import Host

FILE_NAME = "loss_since_log"  # of each rank
SUMS = ("since_log", "logged", "last_log", "ranks")


class ContinuingMixin(Host):
    """Let a resumed run log what the uninterrupted one logs, and give callbacks back their states.

    The host averages a log's loss over the updates since the log before, or since the resume; so does it for the loss
    of the whole run. It restores callbacks only on request (`restore_callback_states_from_checkpoint`), by making new
    ones; here the ones that there are get their attributes back.

    Raises:
        UserError: On resuming, what is remembered of the loss is damaged.
    """

    control: TrainerControl
    _carried: dict[str, float] | None = None  # the checkpoint's, until training begins
    _resumes = False

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        sums = (self._tr_loss.item(), self._total_loss_scalar, self._globalstep_last_logged, self.args.world_size)
        self._loss_file(output_dir).write_text(json.dumps(dict(zip(SUMS, sums, strict=True))), encoding="utf-8")

    def _init_training_state(
        self,
        max_steps: int,
        num_update_steps_per_epoch: int,
        num_train_epochs: int,
        resume_from_checkpoint: str | None,
        trial: Any,
    ) -> tuple[int, int]:
        place = super()._init_training_state(
            max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
        )
        self._carried, self._resumes = None, False
        if resume_from_checkpoint is not None:
            if not self.args.restore_callback_states_from_checkpoint:
                restore_callbacks(self.callback_handler.callbacks, self.state.stateful_callbacks)
            self._carried = load_sums(self._loss_file(resume_from_checkpoint), self.args.world_size)
            self._resumes = self._carried is not None
            callbacks = self.callback_handler.callbacks
            if any(isinstance(item, EarlyStoppingCallback) and item.has_stopped for item in callbacks):
                return num_train_epochs, 0  # it had come to its end, if not to its last word
        return place

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        if self.state.global_step >= self.state.max_steps:  # killed behind its last update; the host would add one
            self.control.should_training_stop = True
            return
        if self._carried is not None:
            self._tr_loss += torch.tensor(self._carried["since_log"])
            self._total_loss_scalar = self._carried["logged"]
            self._globalstep_last_logged = int(self._carried["last_log"])
            self._carried = None
        super()._run_epoch(*args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "train_loss" in logs and self._resumes:
            # What is still carried belongs to a run that was resumed behind its last update.
            before = 0.0 if self._carried is None else self._carried["logged"] + self._carried["since_log"]
            logs["train_loss"] = (before + self._total_loss_scalar) / self.state.global_step
        super().log(logs, start_time)

    def _loss_file(self, checkpoint: str) -> Path:
        rank = f"_{self.args.process_index}" if self.args.world_size > 1 else ""
        return Path(checkpoint, f"{FILE_NAME}{rank}.json")


def load_sums(own: Path, world_size: int) -> dict[str, float] | None:
    """Read what a checkpoint remembers of the loss; None where it remembers nothing (a plain Trainer's).

    Args:
        own: This rank's file.
        world_size: Number of ranks now. Where it was another, each takes the mean of those that there were: it is what
            they log.

    Raises:
        UserError: A file is damaged.
    """
    if own.is_file():
        sums = _read_sums(own)
        if sums["ranks"] == world_size:
            return sums
    of_ranks = [_read_sums(file) for file in sorted(own.parent.glob(f"{FILE_NAME}*.json"))]
    return {name: mean(sums[name] for sums in of_ranks) for name in SUMS} if of_ranks else None


def _read_sums(file: Path) -> dict[str, float]:
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return {name: float(stored[name]) for name in SUMS}
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{file}: damaged ({first_line(error)}): resume from an earlier checkpoint") from error


def restore_callbacks(callbacks: Iterable[TrainerCallback], stored: dict[str, Any]) -> None:
    """Give callbacks back the attributes that a checkpoint holds of them; those that it does not know stay.

    Args:
        callbacks: All of the run, in its order; what keeps no state is passed over.
        stored: `TrainerState.stateful_callbacks` of the checkpoint.
    """
    present: dict[str, list[TrainerCallback]] = {}
    for callback in filter(keeps_state, callbacks):
        present.setdefault(type(callback).__name__, []).append(callback)
    for name, alike in present.items():
        states = stored.get(name, [])
        states = states if isinstance(states, list) else [states]
        # Of several of one class the host adds the states again at each save: the last ones count.
        for callback, state in zip(alike, states[-len(alike) :], strict=False):
            vars(callback).update(state.get("attributes", {}))
