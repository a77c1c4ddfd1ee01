"""Trainer that answers bad updates: it goes back, tells what happened, and stops where nothing helps."""

import math
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from hf_strategies.checkpoints.choice import checkpoints_in, step_of, stored
from hf_strategies.checkpoints.manifest import FILE_NAME as MANIFEST
from hf_strategies.checkpoints.manifest import mark_health
from hf_strategies.errors import TrainingDivergedError, first_line
from hf_strategies.training.beginning import Beginning
from hf_strategies.training.guard.policy import Action
from hf_strategies.training.guard.slow_restart import SlowRestart
from hf_strategies.training.guard.snapshot import Live
from hf_strategies.training.guard.step_guard import StepGuard, Verdict
from hf_strategies.training.guard.zero_step import ZeroStep
from hf_strategies.training.random_streams import RandomStreams
from hf_strategies.training.recording import RecordingMixin
from hf_strategies.training.returning import ReturningMixin

SLOW_UPDATES = 100


class RespondingMixin(ReturningMixin, RecordingMixin):
    """Do what the guard's verdict on a bad update asks for, and more where a run would end with harmed weights."""

    _guard: StepGuard | None = None
    _zero_step: ZeroStep | None = None
    _slow_restart: SlowRestart | None = None
    _live: Live
    _beginning: Beginning | None
    _losses: list[Tensor]  # of the update's micro-batches
    _good_inputs: Any = None  # the last micro-batch of the last good update

    def _respond(self, verdict: Verdict) -> None:
        """Answer a bad update, tell of it, and stop where that is the answer.

        The last update of a run is asked about at once: none follows that would show whether weights are harmed.
        """
        facts = {"reason": verdict.reason, "loss": verdict.loss, "grad_norm": verdict.grad_norm, **self._place()}
        action, fine = verdict.action, None
        told: dict[str, Any] = {}
        if action is not Action.SKIP or self.state.global_step + 1 >= self.state.max_steps:
            fine = self._weights_are_fine(verdict)
            action, told = self._answer(verdict, fine)
        assert self._beginning is not None
        self._record({"action": action.value, **facts, **told}, self._losses, self._beginning.random)
        if action is Action.STOP:
            raise TrainingDivergedError(self._last_words(verdict, fine))

    def _answer(self, verdict: Verdict, fine: bool | None) -> tuple[Action, dict[str, Any]]:
        """Do what a verdict asks for; return what was done, and after a return which update's state is there.

        Where the weights are fine, the newest healthy state is the present one, and stays; where even patience has
        not outlasted the trouble, the data have changed, and what is usual is learned anew.
        """
        assert self._guard is not None
        action, step = verdict.action, self.state.global_step
        if fine and action is Action.STOP and math.isfinite(verdict.loss):
            self._guard.adapt()
            return Action.ADAPT, {}
        if fine:
            return action, {"returned_to": step} if action is Action.ROLLBACK else {}
        if action is Action.SKIP and fine is None and self._guard.policy.streak == 1:
            return action, {}  # one bad update that nobody can ask about speaks of its data
        self._mark(self._guard.take_doubtful(), healthy=False)
        if action is Action.STOP:
            return action, {}
        returned_to = self._go_back()
        is_lost = returned_to is None and step + 1 >= self.state.max_steps
        return Action.STOP if is_lost else Action.ROLLBACK, {"returned_to": returned_to}

    @torch.no_grad()
    def _weights_are_fine(self, verdict: Verdict) -> bool | None:
        """Tell whether the last good update's data still have a usual loss: it is the data since that are to blame.

        None where nobody can say: that loss is no answer where only a gradient is bad, and neither ZeRO's engine nor
        FSDP1 can be asked in the middle of an update.
        """
        assert self._guard is not None
        detector = self._guard.detector
        unknown = self._zero_step is not None or isinstance(self.model_wrapped, FullyShardedDataParallel)
        if unknown or self._good_inputs is None or not detector.trouble(verdict.loss, 0.0):
            return None
        random = RandomStreams(self._live.device)
        self.model_wrapped.eval()  # each training step switches back
        try:
            inputs = self._prepare_inputs(self._good_inputs)
            num_items = self._get_num_items_in_batch([inputs], self.args.device)
            with self.compute_loss_context_manager():
                loss = self.compute_loss(self.model_wrapped, inputs, num_items_in_batch=num_items).mean()
        except Exception:  # of any kind: weights that cannot even be asked are not fine
            loss = torch.tensor(math.nan, device=self.args.device)
        random.restore()
        for module in self.model_wrapped.modules():
            if isinstance(module, FSDPModule):
                module.reshard()  # a backward pass would
        if self.args.world_size > 1:
            distributed.all_reduce(loss)
        return not detector.trouble(loss.item() / max(self.args.world_size, 1), 0.0)

    def _go_back(self) -> int | None:
        """Return to the newest proven state and say after how many updates it stands; None where there is none."""
        assert self._guard is not None
        before = self._guard.untried(self.state.global_step + 1)
        snapshot = self._guard.memory.newest_healthy(before=before)
        step = None if snapshot is None else snapshot.step
        checkpoint = self._newest_checkpoint(self._run_folder(), range(0 if step is None else step + 1, before))
        if checkpoint is not None:
            self._return_to_checkpoint(checkpoint)
            step = step_of(checkpoint)
        elif snapshot is not None:
            snapshot.restore(self._live)
        if step is not None:
            self._guard.note_return(step)
            self._slow_down(SLOW_UPDATES)
        return step

    def _slow_down(self, updates: int) -> None:
        """Lower the rate for some updates, where that is wanted; an earlier time of slowness is over."""
        assert self._guard is not None
        if self._slow_restart is not None:
            self._slow_restart.cancel()
        factor = self._guard.policy.options.lr_scale
        is_wanted = factor < 1 and updates > 0
        self._slow_restart = SlowRestart(self._live.optimizer, factor, updates) if is_wanted else None

    def _mark(self, steps: list[int], *, healthy: bool) -> None:
        for step in steps if self.args.should_save else ():
            folder = self._run_folder() / f"{PREFIX_CHECKPOINT_DIR}-{step}"
            if (folder / MANIFEST).is_file():  # it may have been removed since
                try:
                    mark_health(folder, healthy=healthy)
                except (OSError, ValueError) as error:
                    said = "healthy" if healthy else "unhealthy"
                    print(f"WARNING   {folder} could not be marked {said}: {first_line(error)}", flush=True)

    def _last_words(self, verdict: Verdict, fine: bool | None) -> str:
        assert self._guard is not None
        run, policy = self._run_folder(), self._guard.policy
        known = map(stored, checkpoints_in(run))
        healthy = [item.path for item in known if item.verified and item.healthy]
        kept = f"the newest healthy checkpoint is {healthy[0]}" if healthy else "there is no healthy checkpoint"
        advice = "try a lower learning_rate or a longer warmup, or look"
        if fine:
            advice = "the weights are fine, as the loss of earlier data says: look"
        return (
            f"training diverged at update {self.state.global_step + 1}: {verdict.reason}; {policy.streak} updates in "
            f"a row were bad, after {policy.rollbacks} returns to a healthy state; {kept}: {advice} at the examples "
            f"in {run}/incident-*.json"
        )
