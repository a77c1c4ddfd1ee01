"""Trainer that can be stopped, told to save, and watched from outside."""

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import TrainerControl
from transformers.trainer_utils import TrainOutput

from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.callbacks.last_word import LastWord
from hf_strategies.distributed.zero import num_parameters
from hf_strategies.errors import UserError
from hf_strategies.ranges import COUNT, POSITIVE
from hf_strategies.training.host import Host
from hf_strategies.training.stop import stop_signals, time_budget
from hf_strategies.training.stop.boundary import Boundary
from hf_strategies.training.stop.control_files import SAVE, STOP, ControlFiles
from hf_strategies.training.stop.hang_watchdog import HangWatchdog
from hf_strategies.training.stop.stop_signals import StopSignals

# Why a run was stopped; ranks send each other the place in this list, and the last one wins.
REASONS = ("", STOP, time_budget.MAX_HOURS, time_budget.SLURM_END, *stop_signals.NAMES)


SAVE_SECONDS_PER_PARAMETER = 6e-8  # weights and two moments, 12 bytes, at 200 MB/s: until a save was timed


class StoppingMixin(Host):
    """Stop at the end of an update, with a checkpoint, when a signal, a file or a deadline asks for it.

    `train` then returns as it does at the end of a run, and `stopped_by` says what it was: SIGTERM, SIGINT, SIGUSR1,
    STOP (a file of that name in the output folder), max_hours or SLURM_JOB_END_TIME; it is None for a run that came to
    its end. What one rank is asked for all ranks do, at the same update. A file SAVE in the output folder asks for a
    checkpoint alone. An evaluation that is due is done before the checkpoint is written, since the resumed run would
    not do it again. None of this changes what is trained: a schedule-free optimizer, which switches to its average for
    the host's own saves, is saved here as it trains.

    Args:
        max_hours: Stop before training has taken this long, counted from `job_started`.
        job_started: When the job began, in seconds since 1970; None for when the trainer was made.
        save_minutes: Save also when so much time has passed since the last checkpoint.
        save_at_steps: Save also after these updates.
        hang_timeout: Dump all threads' stacks to stderr and to `hang-rank-<n>.txt` when nothing has happened for this
            many seconds.

    Raises:
        UserError: A value is out of range, or the host's own answer to SIGTERM is switched on too.
    """

    control: TrainerControl
    stopped_by: str | None = None
    stoppable = True  # False leaves signals, files and deadlines to others
    _boundary: Boundary | None = None
    _boundary_step = _saved_step = -1
    _wants_save = False
    _watchdog: HangWatchdog | None = None

    def __init__(
        self,
        *args: Any,
        max_hours: float | None = None,
        job_started: float | None = None,
        save_minutes: float | None = None,
        save_at_steps: Collection[int] = (),
        hang_timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        for name, value in (("max_hours", max_hours), ("save_minutes", save_minutes), ("hang_timeout", hang_timeout)):
            if value is not None and not POSITIVE[0](value):
                raise UserError(f"{name} must be {POSITIVE[1]}, got {value!r}")
        for step in save_at_steps:
            if not COUNT[0](step):
                raise UserError(f"save_at_steps must be {COUNT[1]} each, got {step!r}")
        self.save_minutes = save_minutes
        self.save_at_steps = frozenset(save_at_steps)
        self.hang_timeout = hang_timeout
        started = time.time() if job_started is None else job_started
        self._deadlines = time_budget.deadlines(max_hours, started=started, environ=os.environ)
        super().__init__(*args, **kwargs)
        if getattr(self.args, "enable_jit_checkpoint", False):
            raise UserError("enable_jit_checkpoint and this trainer would both answer SIGTERM: leave it out")

    def train(self, *args: Any, **kwargs: Any) -> TrainOutput:
        self.stopped_by = self._boundary = None
        if not self.stoppable or self.hp_search_backend is not None:  # a search has more to stop than one trial
            return super().train(*args, **kwargs)
        self._boundary = Boundary(self.args.device, self.args.world_size)
        self._control_files = ControlFiles(self.args.output_dir)
        self._boundary_step = self._saved_step = -1
        self._boundary_at = self._saved_at = time.monotonic()
        self._update_seconds = self._evaluation_seconds = 0.0
        self._save_seconds = num_parameters(self.model) * SAVE_SECONDS_PER_PARAMETER
        self._wants_save = False
        self._signals = StopSignals(announce=self.is_local_process_zero())
        hangs = Path(self.args.output_dir, f"hang-rank-{self.args.process_index}.txt")
        with self._signals, HangWatchdog(self.hang_timeout, hangs) as self._watchdog:
            return super().train(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        began = time.monotonic()
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self._evaluation_seconds = time.monotonic() - began

    def prediction_step(self, *args: Any, **kwargs: Any) -> tuple:
        if self._watchdog is not None:
            self._watchdog.feed()
        return super().prediction_step(*args, **kwargs)

    def _maybe_log_save_evaluate(
        self,
        tr_loss: Tensor,
        grad_norm: Tensor | float | None,
        model: nn.Module,
        trial: Any,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Agree at an update's end, then let the host log, evaluate and save; it comes again where an epoch ends."""
        step = self.state.global_step
        comes_again = step >= self.state.max_steps or float(self.state.epoch or 0.0).is_integer()
        is_new = step != self._boundary_step
        if is_new and self._boundary is not None:
            self._agree(self._boundary)
        elif self.stopped_by is not None and not comes_again:
            return  # the host takes a stop for the end of an epoch, and would evaluate as if it were
        super()._maybe_log_save_evaluate(tr_loss, grad_norm, model, trial, *args, **kwargs)
        if self._wants_save and not (is_new and comes_again):  # what is still to be done at this step belongs in it
            self._wants_save = False
            if self._saved_step != step:
                self._save_checkpoint(model, trial)
                self.control = self.callback_handler.on_save(self.args, self.state, self.control)
        if self.stopped_by is not None:
            self.control.should_training_stop = True

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        began = time.monotonic()
        super()._save_checkpoint(model, trial)
        self._saved_step, self._saved_at = self.state.global_step, time.monotonic()
        self._save_seconds = self._saved_at - began

    def _finalize_training(self, *args: Any, **kwargs: Any) -> TrainOutput:
        goes_on = self.stopped_by is not None and self.state.global_step < self.state.max_steps
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, LastWord):
                callback.is_interrupted = goes_on
        best = self.state.best_model_checkpoint
        if self.stopped_by is not None:  # the host would load the best weights and remove what the run goes on from
            self.state.best_model_checkpoint = None
        try:
            return super()._finalize_training(*args, **kwargs)
        finally:
            self.state.best_model_checkpoint = best

    def _agree(self, boundary: Boundary) -> None:
        """Bring what this rank was asked for before all ranks, and take up what they agree on."""
        step, now = self.state.global_step, time.monotonic()
        self._update_seconds, self._boundary_at, self._boundary_step = now - self._boundary_at, now, step
        assert self._watchdog is not None
        self._watchdog.feed()
        files = self._control_files.take() if self.is_world_process_zero() else set()
        overdue = self.save_minutes is not None and now - self._saved_at >= 60 * self.save_minutes
        asked_at, (save, reason) = boundary.agree(
            step, [int(SAVE in files or overdue), REASONS.index(self._reason_to_stop(files))]
        )
        asked_for = bool(save) and asked_at > self._saved_step
        self._wants_save = asked_for or bool(reason) or step in self.save_at_steps
        self.stopped_by = REASONS[reason] or None
        if SAVE in files:
            self._note(SAVE)
        if self.stopped_by is not None:
            self._note(self.stopped_by)

    def _reason_to_stop(self, files: Collection[str]) -> str:
        late = time_budget.due(
            self._deadlines,
            now=time.time(),
            update_seconds=self._update_seconds,
            evaluation_seconds=self._evaluation_seconds,
            save_seconds=self._save_seconds,
        )
        return self._signals.received or (STOP if STOP in files else late or "")

    def _note(self, request: str) -> None:
        """Tell of a request on the terminal and in the log of events."""
        if self.is_world_process_zero():
            does = "saving" if request == SAVE else "saving and stopping"
            print(f"{request}: {does} after update {self.state.global_step}", flush=True)
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, EventLogCallback):
                callback.append("request", self.state, by=request)
