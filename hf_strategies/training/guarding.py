"""Trainer whose weights no bad update reaches."""

import copy
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor
from transformers.trainer_pt_utils import LayerWiseDummyOptimizer
from transformers.trainer_utils import TrainOutput

from hf_strategies.checkpoints.choice import GUARD
from hf_strategies.checkpoints.manifest import read_manifest
from hf_strategies.errors import UserError, first_line
from hf_strategies.training.beginning import BeginningMixin
from hf_strategies.training.guard.left_out import leave_out
from hf_strategies.training.guard.policy import Action, GuardOptions
from hf_strategies.training.guard.snapshot import Live
from hf_strategies.training.guard.step_guard import Counts, StepGuard
from hf_strategies.training.guard.zero_step import SINCE, ZeroStep, watch
from hf_strategies.training.responding import RespondingMixin

MAX_SNAPSHOT_BYTES = 1 << 30  # of the two that are kept, on each rank
DEFAULT = GuardOptions()

logger = logging.getLogger(__name__)


class GuardingMixin(BeginningMixin, RespondingMixin):
    """Judge each update before the optimizer moves, by its loss and gradient norm over all ranks.

    A bad one (not finite, or a spike) is skipped; after several in a row weights, optimizer, random streams and
    callbacks go back to the newest state that good updates after it had proven, in memory or on disk, while the step
    counter, the schedule and the data go on; in the end training stops. Where the last good data still have a usual
    loss, the state to go back to is the present one, and stays; where that has not helped either and the losses are
    finite, the data have changed, and what is usual is learned anew. No run ends with weights that are known to be
    harmed. A resumed run judges as the uninterrupted one does, but may go back to another state: snapshots in memory
    are gone.

    What was not taken is told by a warning, a "guard" event where an `EventLogCallback` listens, `skipped_updates` in
    the log, and `incident-<step>.json` in the output folder; the logged loss is that of the updates that were taken. A
    gradient of fp16 that overflows is the scaler's business, and only counted (`fp16_overflows`). Optimizers that step
    inside the backward pass cannot be kept from it: there the guard only goes back.

    Args:
        guard: How patient it is; None switches it off.

    Raises:
        TrainingDivergedError: While training: going back did not help.
    """

    def __init__(self, *args: Any, guard: GuardOptions | None = DEFAULT, **kwargs: Any) -> None:
        self.guard_options = guard
        super().__init__(*args, **kwargs)
        if guard is not None:
            self.args.logging_nan_inf_filter = False  # it hides what is looked for, and waits for each micro-batch

    def _prepare_for_training(
        self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: str | None
    ) -> tuple:
        prepared = super()._prepare_for_training(max_steps, train_dataloader, resume_from_checkpoint)
        self._guard = None
        if self.guard_options is None:
            return prepared
        is_watched = self._zero_step is not None and self._zero_step.engine is self.model_wrapped
        if self.is_deepspeed_enabled and not is_watched:
            if not ZeroStep.can_watch(self.model_wrapped):
                logger.warning("the step guard is off: it works with ZeRO's own optimizers, of DeepSpeed %s on", SINCE)
                return prepared
            self._zero_step = watch(self.model_wrapped, self._is_bad)
        self._guard = StepGuard(self.guard_options)
        self._live = Live(
            self.model_wrapped, self.optimizer, self.callback_handler.callbacks, torch.device(self.args.device)
        )
        optimizer = self._live.optimizer
        if isinstance(optimizer, LayerWiseDummyOptimizer) or type(optimizer).__name__ in ("Lomo", "AdaLomo"):
            logger.warning("the step guard skips no update of an optimizer that steps inside the backward pass")
        self._losses, self._good_inputs = [], None
        self._slow_down(0 if resume_from_checkpoint is None else self._resume_guard(Path(resume_from_checkpoint)))
        return prepared

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        kept = copy.copy(inputs) if self._guard is not None else None  # some take out of it what they need
        loss = super().training_step(model, inputs, num_items_in_batch)
        if self._guard is not None:
            self._inputs = kept
            self._losses.append(loss)
        return loss

    def _get_grad_norm(self, model: nn.Module, grad_norm: Tensor | None = None) -> Tensor | float | None:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        if self._guard is None:
            return norm
        if self._zero_step is None:
            scaler = self.accelerator.scaler
            scale = scaler.get_scale if scaler is not None and scaler.is_enabled() else None
            if self._is_bad(torch.stack(self._losses).sum(), norm, scale):
                leave_out(model, self._live.optimizer, scaler)
        self._end_update()
        return norm

    def _get_learning_rate(self) -> float:
        factor = 1.0 if self._slow_restart is None else self._slow_restart.factor
        return super()._get_learning_rate() * factor

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if self._guard is not None and "loss" in logs:
            counts, self._guard.counts = self._guard.counts, Counts()
            if counts.skipped:
                total = logs["loss"] * (counts.taken + counts.overflows + counts.skipped)
                logs |= {"loss": counts.mean(total), "skipped_updates": counts.skipped}
            if counts.overflows:
                logs["fp16_overflows"] = counts.overflows
            if math.isnan(logs["loss"]):
                self._guard.counts.owed = counts.missing
            else:
                self._total_loss_scalar += logs["loss"] * counts.missing  # the host divides by all updates
        super().log(logs, start_time)

    def _finalize_training(self, *args: Any, **kwargs: Any) -> TrainOutput:
        if self._guard is not None and (missing := self._guard.counts.missing):  # since the last log
            mean = self._guard.counts.mean(self._tr_loss.item())
            self._tr_loss += (self._last_loss() if math.isnan(mean) else mean) * missing
        return super()._finalize_training(*args, **kwargs)

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        if self._guard is not None:
            self._guard.unproven[self.state.global_step] = 0
            slow = 0 if self._slow_restart is None else self._slow_restart.updates
            if self.args.should_save:
                state = json.dumps({"guard": self._guard.state(), "slow_updates": slow})
                Path(output_dir, GUARD).write_text(state + "\n", encoding="utf-8")

    def _resume_guard(self, checkpoint: Path) -> int:
        """Go on with what a checkpoint knows, if anything; return for how many updates more the rate is lower.

        The states to go back to are others than the uninterrupted run's, whose snapshots are gone.
        """
        assert self._guard is not None
        self._guard.trusted = None
        file, slow_updates = checkpoint / GUARD, 0
        if file.is_file():
            try:
                state = json.loads(file.read_text(encoding="utf-8"))
                self._guard.load_state(state["guard"])
                slow_updates = int(state["slow_updates"])
            except (ValueError, KeyError, TypeError) as error:
                said = f"damaged ({first_line(error)}): resume from an earlier checkpoint"
                raise UserError(f"{file}: {said}") from error
        if (read_manifest(checkpoint) or {}).get("healthy"):
            self._guard.trusted = self.state.global_step
            self._guard.unproven.pop(self.state.global_step, None)
        return slow_updates

    def _begin_update(self) -> None:
        super()._begin_update()
        if self._guard is None:
            return
        assert self._beginning is not None
        if self._slow_restart is not None and not self._slow_restart.begin_update():
            self._slow_restart = None
        policy, memory, step = self._guard.policy, self._guard.memory, self.state.global_step
        every = policy.options.snapshot_steps
        is_time = every and (memory.is_empty or (policy.calm > 0 and step % every == 0))
        if is_time and 2 * self._snapshot_bytes() <= MAX_SNAPSHOT_BYTES:
            memory.take(self._live, step, self._beginning.random, is_proven=step == self._guard.trusted)

    def _snapshot_bytes(self) -> float:
        """Return the bytes of a snapshot on the rank that has most to keep: all take one, or none."""
        size = torch.tensor(float(self._live.num_bytes()))
        if self.args.world_size > 1:
            size = size.to(self.args.device)
            distributed.all_reduce(size, op=distributed.ReduceOp.MAX)
        return size.item()

    def _is_bad(self, loss: Tensor, norm: Tensor | float | None, scale: Callable[[], float] | None) -> bool:
        """Judge an update by what all ranks say; one collective where there are several, and one wait for the device.

        Args:
            loss: This rank's.
            norm: Of the whole gradient.
            scale: Reads fp16's scale; None in other precisions.
        """
        assert self._guard is not None
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
        values = torch.stack([loss.float(), torch.as_tensor(0.0 if norm is None else norm).to(loss.device).float()])
        if self.args.world_size > 1:
            distributed.all_reduce(values)  # what is not finite on one rank is not finite in the sum
        mean_loss, grad_norm = (values / max(self.args.world_size, 1)).tolist()
        overflown = scale is not None and math.isfinite(mean_loss) and not math.isfinite(grad_norm) and scale() > 1
        self._verdict = self._guard.judge(mean_loss, grad_norm, overflown=overflown)
        return bool(self._verdict.reason)

    def _end_update(self) -> None:
        """Do what the verdict asks for, once no step of the optimizer is under way."""
        assert self._guard is not None
        if self._zero_step is not None:
            self._zero_step.end_update()
        if self._verdict.action is Action.TAKE:
            self._good_inputs = self._inputs
            self._mark(self._guard.take_proven(), healthy=True)
        elif self._verdict.reason:
            assert self._beginning is not None
            self._beginning.undo(self)
            self._respond(self._verdict)
        self._losses = []

    def _last_loss(self) -> float:
        losses = [row["loss"] for row in self.state.log_history if math.isfinite(row.get("loss", math.nan))]
        return losses[-1] if losses else math.nan
