"""Training that stops when evaluations get no better."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from hf_strategies.callbacks.stored_state import stored_attributes
from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.metrics import METRICS
from hf_strategies.ranges import COUNT, NOT_NEGATIVE
from hf_strategies.reports.events import EventLog
from hf_strategies.reports.terminal import format_number

# What an evaluation reports besides metrics, by the ends of names.
BOOKKEEPING = ("_runtime", "_per_second", "_time", "epoch", "num_input_tokens_seen")


def is_gain(value: float, best: float | None, *, min_gain: float, greater_is_better: bool) -> bool:
    """Tell whether `value` is better than `best` by more than `min_gain`; NaN never is, and any other beats None."""
    if best is None:
        return not math.isnan(value)
    return (value - best if greater_is_better else best - value) > min_gain


class EarlyStoppingCallback(TrainerCallback, ExportableState):
    """Stop training after `patience` evaluations in a row that are no gain over the last one that was.

    The best weights are restored by the host, which keeps them on disk: this asks for what that takes. A run that is
    stopped so has come to its end. Counts go on where a checkpoint left them; a run that is resumed after its stop
    ends at once (in a plain Trainer after one more update).

    Args:
        patience: Evaluations without a gain that are allowed before the run stops.
        min_gain: How much better than the best an evaluation must be, in units of the metric; small steps add up.
        metric: Name of the metric, with or without "eval_"; None takes `metric_for_best_model`, or else the loss.
        greater_is_better: None follows the host's setting for its metric, or what is known of the metric.
        restore_best: Insist on `load_best_model_at_end` for this metric; False leaves the last weights, or whatever
            the host is told to restore.
        event_log: The file of events where the stop is also recorded; None records nothing.

    Raises:
        UserError: A value is out of range; when training begins: nothing is evaluated, or the host would not restore
            the best weights; after an evaluation: it has no such metric.
    """

    def __init__(
        self,
        patience: int = 3,
        min_gain: float = 0.0,
        *,
        metric: str | None = None,
        greater_is_better: bool | None = None,
        restore_best: bool = True,
        event_log: str | Path | None = None,
    ) -> None:
        for name, value, (holds, expected) in (("patience", patience, COUNT), ("min_gain", min_gain, NOT_NEGATIVE)):
            if not holds(value):
                raise UserError(f"{name} of early stopping must be {expected}, got {value!r}")
        self.patience = patience
        self.min_gain = min_gain
        self.metric = metric
        self.greater_is_better = greater_is_better
        self.restore_best = restore_best
        self.event_log = event_log
        self.best: float | None = None
        self.best_step = 0
        self.strikes = 0
        self._is_training = False
        self._seen_at = -1  # step of the last evaluation that had the metric
        self._offered: set[str] = set()  # metrics of evaluations since, which had not

    def state(self) -> dict:
        given = ("patience", "min_gain", "metric", "greater_is_better", "restore_best")
        args = {name: getattr(self, name) for name in given}
        args["event_log"] = self.event_log and str(self.event_log)
        return {"args": args, "attributes": {name: getattr(self, name) for name in ("best", "best_step", "strikes")}}

    @property
    def has_stopped(self) -> bool:
        """Whether patience has run out."""
        return self.strikes >= self.patience

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._check(args)
        self._is_training, self._seen_at, self._offered = True, -1, set()
        self.best, self.best_step, self.strikes = None, 0, 0
        self.__dict__.update(stored_attributes(self, state))
        control.should_training_stop |= self.has_stopped

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float],
        **kwargs: Any,
    ) -> None:
        if not self._is_training:
            return
        name = f"eval_{self._metric(args)}"
        if name not in metrics:
            self._offered |= {item[5:] for item in metrics if item[:5] == "eval_" and not item.endswith(BOOKKEEPING)}
            if "eval_runtime" in metrics:  # else one of several evaluation sets, each of which is told by itself
                self._refuse(args)
            return
        self._seen_at = state.global_step
        value, greater_is_better = float(metrics[name]), self._greater_is_better(args)
        if is_gain(value, self.best, min_gain=self.min_gain, greater_is_better=greater_is_better):
            self.best, self.best_step, self.strikes = value, state.global_step, 0
        else:
            self.strikes += 1
        if self.has_stopped and state.global_step < state.max_steps:
            control.should_training_stop = True
            self._tell(state, name, value)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._offered and self._seen_at != state.global_step:
            self._refuse(args)
        self._offered.clear()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._is_training = False

    def _refuse(self, args: TrainingArguments) -> None:
        metric, known = self._metric(args), sorted(self._offered)
        raise UserError(
            f"early stopping watches {metric!r}, which no evaluation reports{did_you_mean(metric, known)} "
            f"(reported: {', '.join(known)})"
        )

    def _check(self, args: TrainingArguments) -> None:
        if args.eval_strategy == "no":
            raise UserError("early stopping watches evaluations: set eval_strategy to steps or epoch, got no")
        if not self.restore_best:
            return
        metric = self._metric(args)
        if not args.load_best_model_at_end:
            matches = args.save_strategy in (args.eval_strategy, "best")
            saves = "" if matches else f", save_strategy={args.eval_strategy.value} (got {args.save_strategy.value})"
            raise UserError(
                "early stopping restores the best weights by the host's means: set load_best_model_at_end=True, "
                f"metric_for_best_model={metric}{saves}; or keep the last weights with restore_best=False"
            )
        restored = (args.metric_for_best_model or "loss").removeprefix("eval_")
        if metric != restored:
            raise UserError(
                f"early stopping watches {metric!r}, and the host would restore the best by {restored!r}: set "
                f"metric_for_best_model={metric}, or restore_best=False"
            )

    def _metric(self, args: TrainingArguments) -> str:
        return (self.metric or args.metric_for_best_model or "loss").removeprefix("eval_")

    def _greater_is_better(self, args: TrainingArguments) -> bool:
        metric = self._metric(args)
        if self.greater_is_better is not None:
            return self.greater_is_better
        if args.metric_for_best_model is not None and metric == args.metric_for_best_model.removeprefix("eval_"):
            return bool(args.greater_is_better)
        if metric in METRICS:
            return METRICS[metric].facts["greater_is_better"]
        return not metric.endswith("loss")  # the host's own rule

    def _tell(self, state: TrainerState, name: str, value: float) -> None:
        if not state.is_world_process_zero:
            return
        evaluations = "1 evaluation" if self.patience == 1 else f"{self.patience} evaluations in a row"
        best = "" if self.best is None else f" than {format_number(self.best)} at step {self.best_step}"
        said = f"{name} was no better{best} in {evaluations}, now {format_number(value)}"
        print(f"early stop at step {state.global_step}: {said}", flush=True)
        if self.event_log is not None:
            best_so_far = {"metric": name, "best": self.best, "best_step": self.best_step}
            EventLog(Path(self.event_log)).append("early_stop", step=state.global_step, **best_so_far, said=said)
