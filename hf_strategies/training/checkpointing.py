"""Trainer whose checkpoints are whole or not there, and whose run outlives a full disk."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, TrainOutput

from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
from hf_strategies.checkpoints.publishing import DRAFTS, clear_drafts, is_write_error, publish, rotate
from hf_strategies.checkpoints.space import check_space, checkpoint_bytes
from hf_strategies.distributed.zero import full_shape
from hf_strategies.errors import UserError, first_line
from hf_strategies.optimizers import OPTIMIZERS, OptimizerFactory
from hf_strategies.training.host import Host
from hf_strategies.training.new_settings import take_settings

KEPT = 2  # checkpoints that space is asked for where `save_total_limit` sets no limit
RETRY_UPDATES = 20  # after a save that failed


class CheckpointingMixin(Host):
    """Write checkpoints beside their place and move them there when they are whole, with a manifest that proves it.

    A save that fails (a full disk) is told and tried again some updates later; training goes on, and what was there
    before stays. Older checkpoints are removed only once the new one is whole; two whole ones are always kept,
    and the best. `checkpoint_facts` is written into every manifest. With `takes_new_settings` a resumed run has the
    rates, the decay and whatever else its optimizer was built with, and not the checkpoint's.
    """

    checkpoint_facts: dict[str, Any]
    takes_new_settings = False
    _is_saving = False
    _write_error: BaseException | None = None
    _retry_at: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.checkpoint_facts = {}
        super().__init__(*args, **kwargs)

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> tuple:
        prepared = super()._prepare_for_training(*args, **kwargs)
        if self.args.should_save and self.args.save_strategy != "no":
            self._check_space()
        return prepared

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        built = [{**group, "params": None} for group in self.optimizer.param_groups]
        with _refusing_code(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None and self.takes_new_settings:
            take_settings(self.optimizer, self.lr_scheduler, built)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with _refusing_code(checkpoint):
            super()._load_rng_state(checkpoint)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        if self._retry_at is not None and self.state.global_step >= self._retry_at:
            self.control.should_save = True
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def _get_output_dir(self, trial: Any) -> str:
        folder = super()._get_output_dir(trial)
        return str(Path(folder, DRAFTS)) if self._is_saving else folder

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        run, name = Path(self._get_output_dir(trial)), f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        if self.args.should_save:
            clear_drafts(run)
        self.accelerator.wait_for_everyone()  # nobody may write into a folder that is about to be cleared
        self._write_error, self._is_saving = None, True
        try:
            self._attempt(super()._save_checkpoint, model, trial)
        finally:
            self._is_saving = False
        if self.state.best_model_checkpoint == str(run / DRAFTS / name):
            self.state.best_model_checkpoint = str(run / name)
        if not self._any_failed() and self.args.should_save:  # which waits for all ranks: they have written by now
            self._attempt(self._publish, run, name)
        if self._any_failed():
            self._tell_of_failure(run)
            return
        self._retry_at = None
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
        self._attempt(super()._save_optimizer_and_scheduler, output_dir)

    def _save_rng_state(self, output_dir: str) -> None:
        self._attempt(super()._save_rng_state, output_dir)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if self.args.push_to_hub and not self._is_saving:
            super()._push_from_checkpoint(checkpoint_folder)

    def _attempt(self, write: Callable[..., Any], *args: Any) -> None:
        """Write, and only remember a disk's error: other ranks wait in what comes next."""
        try:
            write(*args)
        except Exception as error:
            if not is_write_error(error):
                raise
            self._write_error = self._write_error or error

    def _any_failed(self) -> bool:
        """Agree whether this save has failed on any rank."""
        failed = torch.tensor(float(self._write_error is not None), device=self.args.device)
        return bool(self.accelerator.reduce(failed, reduction="sum").item())

    def _publish(self, run: Path, name: str) -> None:
        draft = run / DRAFTS / name
        self.state.save_to_json(str(draft / TRAINER_STATE_NAME))  # with the best checkpoint's final name
        facts = {
            "step": self.state.global_step,
            "samples": self.state.global_step * self.get_total_train_batch_size(self.args),
            "tokens": int(self.state.num_input_tokens_seen),
            "world_size": self.args.world_size,
            **self.checkpoint_facts,
        }
        publish(draft, run / name, facts)
        best = self.state.best_model_checkpoint
        rotate(run, limit=self.args.save_total_limit, best=Path(best) if best else None)
        (run / DRAFTS).rmdir()

    def _tell_of_failure(self, run: Path) -> None:
        self._retry_at = self.state.global_step + RETRY_UPDATES
        if self.args.should_save:
            shutil.rmtree(run / DRAFTS, ignore_errors=True)
        if self.is_world_process_zero():
            reason = "another rank could not write" if self._write_error is None else first_line(self._write_error)
            print(
                f"WARNING   no checkpoint at step {self.state.global_step}: {reason}. Earlier ones are untouched; the "
                f"next try is at step {self._retry_at}. Free space on the disk of {run}",
                flush=True,
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
            size=checkpoint_bytes(params, state_bytes) + sum(averages),
            limit=KEPT if self.args.save_total_limit is None else max(self.args.save_total_limit, KEPT),
            present=len(list(run.glob(f"{PREFIX_CHECKPOINT_DIR}-*"))),
        )


@contextmanager
def _refusing_code(checkpoint: str | None) -> Iterator[None]:
    """Turn torch's refusal of a pickle that is more than tensors, which takes a page, into a line."""
    try:
        yield
    except UnpicklingError as error:
        raise UserError(
            f"{checkpoint} is not loaded: one of its files is damaged, or would run code ({first_line(error)[:100]})"
        ) from error
