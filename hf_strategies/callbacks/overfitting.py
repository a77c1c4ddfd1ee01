"""Training and validation losses, watched together and judged in words."""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import IntervalStrategy

from hf_strategies.callbacks.learning_curves import FEW, MIN_EVALUATIONS, Verdict, judge, read_curves
from hf_strategies.callbacks.stored_state import stored_attributes
from hf_strategies.reports.events import EventLog


class OverfittingCallback(TrainerCallback, ExportableState):
    """Print what the losses of training and of validation show, when that changes and at the end of training.

    Rank 0 prints: still learning, flat, overfitting since a step, underfitting, or too noisy to tell; before four
    evaluations at the end alone. It reads what is logged: `eval_loss` must be evaluated, and the training loss, where
    it is logged at all, is logged with each evaluation. `learning_curves.judge` has the rules.

    Args:
        event_log: The file of events where each verdict is also recorded; None records nothing.
    """

    is_interrupted = False

    def __init__(self, event_log: str | Path | None = None) -> None:
        self.event_log = event_log
        self.verdict: str | None = None
        self._told_at: int | None = None  # step; None while nothing is trained

    def state(self) -> dict:
        return {
            "args": {"event_log": self.event_log and str(self.event_log)},
            "attributes": {"verdict": self.verdict},
        }

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.verdict, self._told_at = None, -1
        self.__dict__.update(stored_attributes(self, state))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if control.should_evaluate and args.logging_strategy != IntervalStrategy.NO:
            control.should_log = True

    on_epoch_end = on_step_end

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._told_at is None:
            return
        curves = read_curves(state.log_history)
        found = judge(curves) if len(curves.steps) >= FEW else None
        if found is not None and found.kind != self.verdict:
            self._tell(found, state)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        curves = read_curves(state.log_history)
        found = judge(curves)
        if not self.is_interrupted and self._told_at != state.global_step:
            if found is not None:
                self._tell(found, state)
            elif state.is_world_process_zero:
                missing = f"expected {MIN_EVALUATIONS} evaluations after a logged loss, got {len(curves.steps)}"
                print(f"losses at step {state.global_step}: no verdict, {missing}", flush=True)
        self._told_at = None

    def _tell(self, found: Verdict, state: TrainerState) -> None:
        self.verdict, self._told_at = found.kind, state.global_step
        if not state.is_world_process_zero:
            return
        print(f"losses at step {state.global_step}: {found.said}", flush=True)
        if self.event_log is not None:
            facts = {"verdict": found.kind, **({} if found.since is None else {"since": found.since})}
            EventLog(Path(self.event_log)).append("verdict", step=state.global_step, **facts, said=found.said)
