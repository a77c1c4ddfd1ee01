"""What happened during training, as one JSON line per event."""

from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from hf_strategies.optimizers.group_table import describe_param_groups
from hf_strategies.reports.events import EventLog


class EventLogCallback(TrainerCallback):
    """Append run, log, eval, save and end events to a file, from rank 0.

    Training that starts at step 0 starts the file anew; training that resumes first drops the events after its step,
    so that the file in the end is the uninterrupted run's, times and a "run" event for each resumption aside. The
    "end" event, with Trainer's closing summary, is written by a run that came to its last step or was stopped early by
    a callback; one that was interrupted leaves none. It stands before other callbacks that write to the same file.
    Once training has begun, a full disk is told and waited for.

    Args:
        path: The file; its folder is made where it is missing.
    """

    is_interrupted = False

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._log: EventLog | None = None
        self._summary: dict[str, float] = {}

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module,
        optimizer: Optimizer,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero:
            return
        self._log = EventLog(self.path)
        self._log.truncate_after(state.global_step or -1)
        self.append(
            "run",
            state,
            model=type(model).__name__,
            max_steps=state.max_steps,
            num_train_epochs=state.num_train_epochs,
            world_size=args.world_size,
            per_device_train_batch_size=args.per_device_train_batch_size,
            gradient_accumulation_steps=args.gradient_accumulation_steps,
            seed=args.seed,
            param_groups=[row._asdict() for row in describe_param_groups(optimizer)],
        )

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        values = {name: value for name, value in (logs or {}).items() if name != "step"}
        if "train_runtime" in values:
            self._summary = values
        elif any(name.startswith("eval_") for name in values):
            self.append("eval", state, **values)
        elif values:
            self.append("log", state, **values)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        checkpoint = Path(args.output_dir, f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")
        # A trainer that outlives a full disk comes here without one; trials of a search have folders of their own.
        if checkpoint.is_dir() or state.is_hyper_param_search:
            self.append("save", state)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not self.is_interrupted:
            self.append("end", state, **self._summary)

    def append(self, kind: str, state: TrainerState, **values: Any) -> None:
        """Add an event of any kind, at the state's step unless `step` says another; rank 0 alone writes it."""
        if self._log is not None:
            self._log.append(kind, **{"step": state.global_step, **values})
