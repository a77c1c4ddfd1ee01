"""One aligned row per log, on a terminal or in a file."""

import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_strategies.reports.terminal import format_clock, format_count

# What a row shows first, in this order; anything else that was logged follows by name.
COLUMNS: dict[str, Callable[[float], str]] = {
    "loss": "loss {:7.4f}".format,
    "eval_loss": "eval_loss {:7.4f}".format,
    "learning_rate": "lr {:.2e}".format,
    "grad_norm": "grad {:6.2f}".format,
    "tokens_per_second": lambda rate: f"{format_count(rate):>6} tok/s",
    "mfu": "mfu {:5.1%}".format,
    "mfu_of_measured_peak": "mfu {:5.1%} (measured peak)".format,
}
# What it leaves out: said better elsewhere in the row, or of use only in the event log.
SILENT = ("epoch", "step", "tokens_seen", "_runtime", "samples_per_second", "steps_per_second", "flops_per_second")


def format_row(
    values: Mapping[str, float], *, step: int, max_steps: int, elapsed: float, remaining: float | None, width: int
) -> str:
    """Lay out one log in columns that stay under each other from row to row.

    Args:
        values: What was logged. Columns that have a place come first, others follow by name.
        step: Updates done so far.
        max_steps: Updates in the whole run; 0 where nothing is trained, and a row has neither progress nor time.
        elapsed: Seconds since training began.
        remaining: Seconds still to go; None while it is not known.
        width: Columns of the terminal; cells that do not fit are left out, the last first.
    """
    left = "" if remaining is None else f" <{format_clock(remaining)}"
    progress = [
        f"{step:>{len(str(max_steps))}}/{max_steps} {step / max(max_steps, 1):4.0%}",
        f"{format_clock(elapsed)}{left}".ljust(15),
    ]
    cells = [
        *(progress if max_steps else []),
        *(COLUMNS[name](values[name]) for name in COLUMNS if name in values),
        *(f"{name} {values[name]:.4g}" for name in sorted(values.keys() - COLUMNS) if not name.endswith(SILENT)),
    ]
    row = ""
    for cell in cells:
        longer = f"{row}  {cell}" if row else cell
        if row and len(longer) > width:
            break
        row = longer
    return row.rstrip()


class ConsoleCallback(TrainerCallback):
    """Print each log as one row on stdout, from rank 0, flushed: for a terminal as for a file.

    It takes the place of Trainer's progress bar, which is to be removed: `trainer.remove_callback(ProgressCallback)`
    (or `PrinterCallback` under `disable_tqdm=True`). Trainer's closing summary is left to whoever ends the run.
    """

    def __init__(self) -> None:
        self._start_time = time.monotonic()
        self._start_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._start_time = time.monotonic()
        self._start_step = state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not logs or "train_runtime" in logs or not state.is_world_process_zero:
            return
        elapsed = time.monotonic() - self._start_time
        done = state.global_step - self._start_step
        row = format_row(
            {name: value for name, value in logs.items() if isinstance(value, int | float)},
            step=state.global_step,
            max_steps=state.max_steps,
            elapsed=elapsed,
            remaining=elapsed / done * (state.max_steps - state.global_step) if done else None,
            width=shutil.get_terminal_size((119, 24)).columns,
        )
        print(row, flush=True)
