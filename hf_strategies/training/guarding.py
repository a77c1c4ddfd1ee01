"""Trainer whose weights no bad update reaches."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel
from torch.distributed.tensor import DTensor
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, TrainOutput

from hf_strategies.checkpoints.choice import checkpoints_in, step_of, stored
from hf_strategies.checkpoints.manifest import FILE_NAME as MANIFEST
from hf_strategies.checkpoints.manifest import mark_health
from hf_strategies.errors import TrainingDivergedError, UserError, first_line
from hf_strategies.training.guard.policy import Action, GuardOptions
from hf_strategies.training.guard.slow_restart import SlowRestart
from hf_strategies.training.guard.snapshot import Live
from hf_strategies.training.guard.step_guard import Counts, StepGuard, Verdict
from hf_strategies.training.guard.zero_step import ZeroStep
from hf_strategies.training.random_streams import RandomStreams
from hf_strategies.training.recording import RecordingMixin
from hf_strategies.training.returning import ReturningMixin

FILE_NAME = "guard.json"
MAX_SNAPSHOT_BYTES = 1 << 30  # of the two that are kept, on each rank
SLOW_UPDATES = 100
DEFAULT = GuardOptions()

logger = logging.getLogger(__name__)


class GuardingMixin(ReturningMixin, RecordingMixin):
    """Judge each update before the optimizer moves, by its loss and gradient norm over all ranks.

    A bad one (not finite, or a spike) is skipped; after several in a row weights, optimizer, random streams and
    callbacks go back to a state that good updates had proven, in memory or on disk, while the step counter, the
    schedule and the data go on; in the end training stops. Where the last good data still have a usual loss, the state
    to go back to is the present one, and stays. What was not taken is told by a warning, a "guard" event,
    `skipped_updates` in the log, and `incident-<step>.json` in the output folder; the logged loss is that of the
    updates that were taken. A gradient of fp16 that overflows is the scaler's business, and only counted
    (`fp16_overflows`).

    Args:
        guard: How patient it is; None switches it off.

    Raises:
        TrainingDivergedError: While training: going back did not help.
    """

    def __init__(self, *args: Any, guard: GuardOptions | None = DEFAULT, **kwargs: Any) -> None:
        self.guard_options = guard
        self._guard: StepGuard | None = None
        self._zero_step: ZeroStep | None = None
        self._slow_restart: SlowRestart | None = None
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
        if self.is_deepspeed_enabled and self._zero_step is None:
            if not ZeroStep.can_watch(self.model_wrapped):
                logger.warning("the step guard is off: under DeepSpeed it works with ZeRO stages 1 to 3")
                return prepared
            self._zero_step = ZeroStep(self.model_wrapped, self._is_bad)
        self._guard = StepGuard(self.guard_options)
        if resume_from_checkpoint is not None:
            _load_guard(self._guard, Path(resume_from_checkpoint, FILE_NAME))
        self._live = Live(
            self.model_wrapped, self.optimizer, self.callback_handler.callbacks, torch.device(self.args.device)
        )
        self._losses: list[Tensor] = []
        self._good_inputs: dict[str, Any] = {}
        return prepared

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        if self._guard is not None and not self._losses:
            self._begin_update()
        kept = dict(inputs) if self._guard is not None else {}
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
                for param in model.parameters():
                    param.grad = None  # the optimizer then moves nothing, and all else that ends an update goes on
        self._end_update()
        return norm

    def _get_learning_rate(self) -> float:
        factor = 1.0 if self._slow_restart is None else self._slow_restart.factor
        return super()._get_learning_rate() * factor

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if self._guard is not None and "loss" in logs:
            counts, self._guard.counts = self._guard.counts, Counts()
            if counts.skipped:
                mean = logs["loss"]
                logs |= {"loss": mean * counts.loss_factor, "skipped_updates": counts.skipped}
                stand_in = logs["loss"] if counts.taken else self._last_loss()  # for the loss of the whole run
                self._total_loss_scalar += (stand_in - mean) * (counts.taken + counts.skipped)
            if counts.overflows:
                logs["fp16_overflows"] = counts.overflows
        super().log(logs, start_time)

    def _finalize_training(self, *args: Any, **kwargs: Any) -> TrainOutput:
        if self._guard is not None and self._guard.counts.taken:
            self._tr_loss *= self._guard.counts.loss_factor  # of the updates since the last log
        return super()._finalize_training(*args, **kwargs)

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        if self._guard is not None:
            self._guard.unproven[self.state.global_step] = 0
            if self.args.should_save:
                Path(output_dir, FILE_NAME).write_text(json.dumps(self._guard.state()) + "\n", encoding="utf-8")

    def _begin_update(self) -> None:
        assert self._guard is not None
        self._random = RandomStreams(self._live.device)
        self._loss_before = self._tr_loss.clone()
        self._statistics_before = [statistic.clone() for statistic in self._live.statistics()]
        if self._slow_restart is not None and not self._slow_restart.begin_update():
            self._slow_restart = None
        policy, memory = self._guard.policy, self._guard.memory
        every = policy.options.snapshot_steps
        if every and (memory.is_empty or (policy.calm > 0 and self.state.global_step % every == 0)):
            size = torch.tensor(float(self._live.num_bytes()), device=self.args.device)
            if self.args.world_size > 1:
                distributed.all_reduce(size, op=distributed.ReduceOp.MAX)
            if 2 * size.item() <= MAX_SNAPSHOT_BYTES:
                memory.take(self._live, self.state.global_step, self._random)

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
        return self._verdict.action is not Action.TAKE

    def _end_update(self) -> None:
        """Do what the verdict asks for, once no step of the optimizer is under way."""
        assert self._guard is not None
        if self._zero_step is not None:
            self._zero_step.end_update()
        if self._verdict.action is Action.TAKE:
            self._good_inputs = self._inputs
            self._mark(self._guard.take_proven(), healthy=True)
        else:
            self._tr_loss.copy_(self._loss_before)
            for statistic, before in zip(self._live.statistics(), self._statistics_before, strict=True):
                statistic.copy_(before)
            self._respond(self._verdict)
        self._losses = []

    def _respond(self, verdict: Verdict) -> None:
        """Go back where that is asked for, tell what happened, and stop where that is asked for."""
        facts: dict[str, Any] = {"action": verdict.action.value, "reason": verdict.reason}
        facts |= {"loss": verdict.loss, "grad_norm": verdict.grad_norm, **self._place()}
        if verdict.action is not Action.SKIP:
            if self._weights_are_fine():
                facts |= {"returned_to": self.state.global_step} if verdict.action is Action.ROLLBACK else {}
            else:
                assert self._guard is not None
                self._mark(self._guard.take_doubtful(), healthy=False)
                facts |= {"returned_to": self._go_back()} if verdict.action is Action.ROLLBACK else {}
        self._record(facts, self._losses, self._random)
        if verdict.action is Action.STOP:
            raise TrainingDivergedError(self._last_words(verdict))

    @torch.no_grad()
    def _weights_are_fine(self) -> bool:
        """Tell whether the last good update's data still have a usual loss: then the newest healthy state is this one.

        It is the data since that are to blame. ZeRO's engine and FSDP1 cannot be asked in the middle of an update.
        """
        if self._zero_step is not None or isinstance(self.model_wrapped, FullyShardedDataParallel):
            return False
        if not self._good_inputs:
            return False
        assert self._guard is not None
        self.model_wrapped.eval()  # each training step switches back
        with self.compute_loss_context_manager():
            loss = self.compute_loss(self.model_wrapped, self._prepare_inputs(dict(self._good_inputs))).mean()
        for module in self.model_wrapped.modules():
            if isinstance(module, FSDPModule):
                module.reshard()  # a backward pass would
        if self.args.world_size > 1:
            distributed.all_reduce(loss)
        return not self._guard.detector.trouble(loss.item() / max(self.args.world_size, 1), 0.0)

    def _go_back(self) -> int | None:
        """Return to the newest proven state and say after how many updates it stands; None where there is none."""
        assert self._guard is not None
        snapshot = self._guard.take_snapshot_to_return_to()
        step = None if snapshot is None else snapshot.step
        if snapshot is not None:
            snapshot.restore(self._live)
        elif (checkpoint := self._newest_checkpoint(self._run_folder())) is not None:
            self._return_to_checkpoint(checkpoint)
            step = step_of(checkpoint)
        if self._slow_restart is not None:
            self._slow_restart.cancel()
            self._slow_restart = None
        if (factor := self._guard.policy.options.lr_scale) < 1:
            self._slow_restart = SlowRestart(self._live.optimizer, factor, SLOW_UPDATES)
        return step

    def _mark(self, steps: list[int], *, healthy: bool) -> None:
        for step in steps if self.args.should_save else ():
            folder = self._run_folder() / f"{PREFIX_CHECKPOINT_DIR}-{step}"
            if (folder / MANIFEST).is_file():  # it may have been removed since
                try:
                    mark_health(folder, healthy=healthy)
                except (OSError, ValueError) as error:
                    said = "healthy" if healthy else "unhealthy"
                    print(f"WARNING   {folder} could not be marked {said}: {first_line(error)}", flush=True)

    def _last_loss(self) -> float:
        losses = [row["loss"] for row in self.state.log_history if math.isfinite(row.get("loss", math.nan))]
        return losses[-1] if losses else 0.0

    def _last_words(self, verdict: Verdict) -> str:
        assert self._guard is not None
        run, policy = self._run_folder(), self._guard.policy
        healthy = [item.path for item in map(stored, checkpoints_in(run)) if item.verified and item.healthy]
        kept = f"the newest healthy checkpoint is {healthy[0]}" if healthy else "there is no healthy checkpoint"
        return (
            f"training diverged at update {self.state.global_step + 1}: {verdict.reason}; {policy.streak} updates "
            f"in a row were bad, after {policy.rollbacks} returns to a healthy state; {kept}: try a lower "
            f"learning_rate or a longer warmup, or look at the examples in {run}/incident-*.json"
        )


def _load_guard(guard: StepGuard, path: Path) -> None:
    """Let a guard go on with what stands in a checkpoint, where anything does."""
    if not path.is_file():
        return
    try:
        guard.load_state(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({first_line(error)}): resume from an earlier checkpoint") from error
