"""Trainer whose checkpoints are whole or not there, and whose run outlives a full disk."""

import shutil
import time
from pathlib import Path
from typing import Any

from torch import nn
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, TrainOutput

from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
from hf_strategies.checkpoints.choice import checkpoints_in, stored
from hf_strategies.checkpoints.publishing import DRAFTS, clear_drafts, publish, rotate
from hf_strategies.checkpoints.space import check_space, checkpoint_bytes
from hf_strategies.distributed.agreement import decide_together
from hf_strategies.distributed.deepspeed_settings import asked_deepspeed
from hf_strategies.distributed.zero import full_shape
from hf_strategies.errors import UserError, first_line
from hf_strategies.optimizers import OPTIMIZERS, OptimizerFactory
from hf_strategies.training.attempting import AttemptingMixin
from hf_strategies.training.engine_saves import goes_on_unwritten
from hf_strategies.training.feed.position import Position
from hf_strategies.training.hub_token import UnwrittenToken
from hf_strategies.training.new_settings import unwrapped
from hf_strategies.training.scheduling import SchedulingMixin
from hf_strategies.training.seeking import SeekingMixin

RETRY_UPDATES = 20  # after a save that failed
LAST_SAVE_TRIES = 360  # of what would otherwise be lost
LAST_SAVE_PAUSE = 10.0  # seconds between them


class CheckpointingMixin(AttemptingMixin, SchedulingMixin, SeekingMixin):
    """Write checkpoints beside their place and move them there when they are whole, with a manifest that proves it.

    A save that fails (a full disk) is told and tried again some updates later; training goes on, and what was there
    before stays. Older checkpoints are removed only once the new one is whole; two whole ones are always kept, and the
    best, which is the best of those that were saved. `checkpoint_facts` is written into every manifest. The host's
    arguments, which it writes beside every model, are written without the token for the Hub.
    """

    checkpoint_facts: dict[str, Any]
    _is_saving = False
    _retry_at: int | None = None
    _best_before: tuple[Any, ...] = (None, None, None)  # of the state, before the last evaluation

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.checkpoint_facts = {}
        super().__init__(*args, **kwargs)
        if self.args.hub_token is not None:
            self.args.hub_token = UnwrittenToken(self.args.hub_token)

    def save_last(self) -> None:
        """Save the model and the state of a run that has come to its end.

        A disk that takes nothing is waited for, for an hour: unless the last update has its checkpoint, all since the
        one before would be lost.

        Raises:
            UserError: The disk took nothing all that time.
        """
        run = Path(self.args.output_dir)
        last = run / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        tries = 1 if decide_together(last.is_dir) else LAST_SAVE_TRIES
        for tries_left in reversed(range(tries)):
            self._write_error = None
            self._attempt(self.save_model, None, True)
            self._attempt(self.save_state)
            if not self._any_failed():
                return
            if tries_left:
                self._warn(
                    f"the finished model could not be saved: {self._failure()}. It is tried every {LAST_SAVE_PAUSE:g} "
                    f"s, {tries_left} times more: free space on the disk of {run}"
                )
                time.sleep(LAST_SAVE_PAUSE)
        raise UserError(
            f"the finished model could not be saved in {run}: {self._failure()}; free space and start it again: it "
            "goes on from its newest checkpoint"
        )

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> tuple:
        prepared = super()._prepare_for_training(*args, **kwargs)
        self._retry_at = None
        if self.args.should_save and self.args.save_strategy != "no":
            self._check_space()
        return prepared

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
        best = Path(self._get_output_dir(trial), f"{PREFIX_CHECKPOINT_DIR}-{self.state.best_global_step}")
        if best.is_dir():  # the folder may have had another name when it was saved
            self.state.best_model_checkpoint = str(best)
        return place

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        if self._retry_at is not None and self.state.global_step >= self._retry_at:
            self.control.should_save = True
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        state = self.state
        self._best_before = state.best_metric, state.best_global_step, state.best_model_checkpoint
        return super()._determine_best_metric(metrics, trial)

    def _get_output_dir(self, trial: Any) -> str:
        folder = super()._get_output_dir(trial)
        return str(Path(folder, DRAFTS)) if self._is_saving else folder

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        state = self.state
        run, name = Path(self._get_output_dir(trial)), f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        self._write_error = None
        if self.args.should_save:
            self._attempt(clear_drafts, run)
        self.accelerator.wait_for_everyone()  # nobody may write into a folder that is about to be cleared
        self._is_saving = True
        try:
            self._attempt(super()._save_checkpoint, model, trial)
        finally:
            self._is_saving = False
        if state.best_model_checkpoint == str(run / DRAFTS / name):
            state.best_model_checkpoint = str(run / name)
        if not self._any_failed() and self.args.should_save:  # which waits for all ranks: they have written by now
            self._attempt(self._publish, run, name)
        if self._any_failed():
            if state.best_global_step == state.global_step:
                state.best_metric, state.best_global_step, state.best_model_checkpoint = self._best_before
            self._tell_of_failure(run)
            return
        self._retry_at = None
        if self.args.should_save:
            self._rotate(run)
        self._push_from_checkpoint(str(run / name))

    def _finalize_training(self, *args: Any, **kwargs: Any) -> TrainOutput:
        # With a limit of 1 the host would now remove all checkpoints but the best, and what a run goes on from.
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            return super()._finalize_training(*args, **kwargs)
        finally:
            self.args.save_total_limit = limit

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        if self._is_saving:
            self._attempt(super().save_model, output_dir, _internal_call)
        else:
            super().save_model(output_dir, _internal_call)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if self.is_deepspeed_enabled:
            with goes_on_unwritten(self.model_wrapped, self._attempt):
                self._attempt(super()._save_optimizer_and_scheduler, output_dir)
        else:
            self._attempt(super()._save_optimizer_and_scheduler, output_dir)

    def _save_rng_state(self, output_dir: str) -> None:
        self._attempt(super()._save_rng_state, output_dir)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if self.args.push_to_hub and not self._is_saving:
            super()._push_from_checkpoint(checkpoint_folder)

    def _publish(self, run: Path, name: str) -> None:
        draft = run / DRAFTS / name
        self.state.save_to_json(str(draft / TRAINER_STATE_NAME))  # with the best checkpoint's final name
        samples = _samples_before(self._position())
        tokens = None if samples is None or self.tokens_per_sample is None else samples * self.tokens_per_sample
        facts = {
            "step": self.state.global_step,
            "samples": samples,
            "tokens": int(self.state.num_input_tokens_seen) or tokens,
            "world_size": self.args.world_size,
            "optimizer": type(unwrapped(self.optimizer)).__name__,
            **self.checkpoint_facts,
        }
        publish(draft, run / name, facts)

    def _rotate(self, run: Path) -> None:
        """Remove older checkpoints; that this fails takes nothing from the new one."""
        state = self.state
        try:
            rotate(run, limit=self.args.save_total_limit, newest=state.global_step, best=state.best_global_step)
        except OSError as error:
            self._warn(f"older checkpoints in {run} could not be removed: {first_line(error)}")
        shutil.rmtree(run / DRAFTS, ignore_errors=True)

    def _tell_of_failure(self, run: Path) -> None:
        step = self.state.global_step
        self._retry_at = step + RETRY_UPDATES
        if self.args.should_save:
            shutil.rmtree(run / DRAFTS, ignore_errors=True)
        next_try = min(self._retry_at, self.state.max_steps)
        again = f"the next try is at step {next_try} at the latest. " if step < next_try else ""
        self._warn(
            f"no checkpoint at step {step}: {self._failure()}. Earlier ones are untouched; {again}Free space on the "
            f"disk of {run}"
        )

    def _check_space(self) -> None:
        run = Path(self.args.output_dir)
        run.mkdir(parents=True, exist_ok=True)
        made_by = self.optimizer_cls_and_kwargs
        ours = made_by is not None and made_by[0] is OptimizerFactory
        state_bytes = OPTIMIZERS[made_by[1]["name"]].facts.get("state_bytes") if ours else None
        optimized = not self.args.save_only_model
        params = [
            (full_shape(param), param.element_size(), param.requires_grad and optimized)
            for param in self.model.parameters()
        ]
        callbacks = self.callback_handler.callbacks if optimized else []
        averages = [item.num_bytes(self.model) for item in callbacks if isinstance(item, WeightAveragingCallback)]
        check_space(
            run,
            size=checkpoint_bytes(params, state_bytes, asked_deepspeed(self.args.deepspeed)) + sum(averages),
            limit=self.args.save_total_limit,
            keeps_best=self.args.metric_for_best_model is not None,
            present=sum(stored(checkpoint).verified for checkpoint in checkpoints_in(run)),
        )


def _samples_before(position: Position) -> int | None:
    """Count the samples up to a position; None behind a whole pass over a stream, whose length nobody knows."""
    if position.feed.num_samples is None and position.epoch > 0:
        return None
    return position.epoch * (position.feed.num_samples or 0) + position.samples_in_epoch
