"""Trainer that takes up over a resume what the host forgets: the loss that was not logged yet, callbacks' states."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerControl
from transformers.trainer_callback import ExportableState

from hf_strategies.callbacks.early_stopping import EarlyStoppingCallback
from hf_strategies.training.host import Host

FILE_NAME = "loss_since_log"  # of each rank


class ContinuingMixin(Host):
    """Let a resumed run log what the uninterrupted one logs, and give callbacks back their states.

    The host averages a log's loss over the updates since the log before, or since the resume; so does it for the loss
    of the whole run. It restores callbacks only on request (`restore_callback_states_from_checkpoint`), by making new
    ones; here the ones that there are get their attributes back.
    """

    _carried: dict[str, float] | None = None  # the checkpoint's, until training begins
    _resumes = False

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        sums = {
            "since_log": self._tr_loss.item(),
            "logged": self._total_loss_scalar,
            "last_log": self._globalstep_last_logged,
        }
        self._loss_file(output_dir).write_text(json.dumps(sums), encoding="utf-8")

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
                self._restore_callbacks()
            file = self._loss_file(resume_from_checkpoint)
            if file.is_file():
                self._carried, self._resumes = json.loads(file.read_text(encoding="utf-8")), True
            if any(
                isinstance(item, EarlyStoppingCallback) and item.has_stopped
                for item in self.callback_handler.callbacks
            ):
                return num_train_epochs, 0  # it had come to its end, if not to its last word
        return place

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
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

    def _restore_callbacks(self) -> None:
        present: dict[str, list[ExportableState]] = {}
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, ExportableState) and not isinstance(callback, TrainerControl):
                present.setdefault(type(callback).__name__, []).append(callback)
        for name, callbacks in present.items():
            stored = self.state.stateful_callbacks.get(name, [])
            states = stored if isinstance(stored, list) else [stored]
            # Of several of one class the host adds the states again at each save: the last ones count.
            for callback, state in zip(callbacks, states[-len(callbacks) :], strict=False):
                vars(callback).update(state.get("attributes", {}))
