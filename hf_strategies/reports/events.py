"""`events.jsonl`: what happened during a run, one JSON object per line, in the order it happened.

Every line has `event` (its kind), `step` (optimizer updates done), `time` (UTC, ISO 8601) and the values of its kind:

    run      the process started, or resumed at `step`; param_groups: a list of {group, tensors, parameters, lr,
             weight_decay, optimizer}, what the optimizer does to which weights
    log      loss, grad_norm, learning_rate, tokens_per_second, ... since the log before
    eval     eval_loss, eval_bits_per_byte, ...
    samples  samples: a list of {prompt, completion} and, where the text goes on in the data, reference
    save     a checkpoint was written
    guard    update `step` was not taken; action ("skip", "rollback", "stop", or "adapt": what is usual is learned anew
             from here on), reason, loss, grad_norm, epoch, examples (indices, where their order is ours), and for
             "rollback" returned_to, the step whose weights are back
    broken   a training sample could not be loaded: index, reason, epoch, position, replaced_by
    worker   the data loader was restarted after a worker died: batches (of the epoch before it), reason
    request  from outside, by: SAVE (a checkpoint), or what stopped the run: STOP, max_hours, SIGTERM, ...
    verdict  what training and validation losses show: verdict ("learning", "overfitting", ...), said, and since, the
             step from which it is so, where there is one
    early_stop  evaluations got no better: metric, best, best_step, said
    scored   a model was asked with prompts: method, draw (of demonstrations), and its metrics
    end      the run is over

JSON has no NaN and no infinity. A value that is not finite is written as the text "NaN", "Infinity" or "-Infinity",
and read back as the float it stands for; inside lists and mappings, where text is text, it stays that word.
"""

import json
import math
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hf_strategies.errors import UserError, first_line

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

Event = dict[str, Any]


class EventLog:
    """Append-only log of one run; one process at a time writes to it.

    A line that an earlier process left unfinished is dropped before the first that this one writes, which would
    continue it. The file is opened for each line: it costs some tens of microseconds, and leaves nothing to close.
    Lines that a full disk does not take are kept, and written before the next one that it does.

    Args:
        path: The file; it and its folder are made when they are missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_ready = self._is_failing = False
        self._unwritten = b""

    def append(self, kind: str, *, step: int, **values: Any) -> None:
        """Write one event and hand it to the operating system before returning.

        Args:
            kind: What happened.
            step: Optimizer updates done so far.
            values: Text, numbers (NumPy's and torch's scalars too), truth values, lists and mappings of these; of
                anything else, what `str` makes of it.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._unwritten += _line({"event": kind, "step": step, "time": now, **values}).encode("utf-8", "replace")
        try:
            if not self._is_ready:
                self._drop_unfinished()
            _append_all(self.path, self._unwritten)
        except OSError as error:
            if not self._is_failing:
                print(f"WARNING   {self.path} takes no more, events wait in memory: {first_line(error)}", flush=True)
            self._is_failing = True
        else:
            self._unwritten, self._is_failing = b"", False

    def _drop_unfinished(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        self._is_ready = True

    def truncate_after(self, step: int) -> None:
        """Forget what happened after `step`, and any end: a run that resumes there will live through it again.

        The file is replaced in one move; whoever reads it sees the old one or the new one.

        Raises:
            OSError: It cannot be written.
        """
        if not self.path.is_file():
            return
        shorter = self.path.with_name(f"{self.path.name}.tmp")
        kept = [event for event in read_events(self.path) if event["step"] <= step and event["event"] != "end"]
        with shorter.open("w", encoding="utf-8") as file:
            file.writelines(map(_line, kept))
            file.flush()
            os.fsync(file.fileno())
        shorter.replace(self.path)


def read_events(path: Path) -> list[Event]:
    """Read a log, also one that is being written: an unfinished last line is left out.

    Raises:
        UserError: Another line is not an event.
    """
    events = []
    whole, _, _ = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")
    for number, line in enumerate(whole.split("\n") if whole else [], start=1):
        try:
            event = json.loads(line)
            event["step"], event["event"]
        except (json.JSONDecodeError, TypeError, KeyError) as error:
            raise UserError(f"{path}:{number}: expected an event as JSON, got {line[:60]!r}") from error
        events.append({name: _read_value(value) for name, value in event.items()})
    return events


def _append_all(path: Path, text: bytes) -> None:
    """Add all of a text to a file, or nothing.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    with path.open("ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            while text:
                text = text[file.write(text) :]
        except OSError:
            file.truncate(end)
            raise


def _line(event: Event) -> str:
    return json.dumps(plain_json(event), ensure_ascii=False, allow_nan=False) + "\n"


def plain_json(value: Any) -> Any:
    """Turn `value` into what JSON knows; a number that is not finite becomes text."""
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):  # of anything, of an array, of a tensor
        return str(value)
    if math.isnan(number):
        return "NaN"
    return number if math.isfinite(number) else ("Infinity" if number > 0 else "-Infinity")


def _read_value(value: Any) -> Any:
    return NON_FINITE.get(value, value) if isinstance(value, str) else value
