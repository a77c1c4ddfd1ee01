"""One trial of a sweep: its folder, the process that runs it, and what came of it."""

import json
import math
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from hf_strategies.planning.sweep_space import SettingValues
from hf_strategies.reports import read_events
from hf_strategies.runs.output_folder import EVENTS, read_results

VERDICT, LOG = "verdict.json", "trial.log"
LONGEST_NAME = 120  # characters of a folder's name

Status = Literal["finished", "diverged", "stopped", "failed"]


@dataclass(frozen=True)
class Trial:
    """Settings to try with one seed, and the folder that its run writes."""

    values: SettingValues
    seed: int | None
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Args:
        status: "stopped" is a trial that a search gave up; "diverged" one whose loss ceased to be finite.
        reason: Why it is not finished.
        results: What `all_results.json` holds, for a finished one.
    """

    status: Status
    reason: str = ""
    results: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Course:
    """How far a run has come.

    Args:
        updates: Optimizer updates logged so far.
        length: Updates of the whole run; 0 while it is not known.
        diverged_at: First update whose loss was not finite; None while all are.
        evaluations: Evaluations along the run, neither before its first update nor after its last.
    """

    updates: int
    length: int
    diverged_at: int | None
    evaluations: tuple[Mapping[str, Any], ...]

    @property
    def is_trained(self) -> bool:
        """Whether the last update is done: what is left is an evaluation and the reports."""
        return 0 < self.length <= self.updates


def trial_name(values: SettingValues, seed: int | None) -> str:
    """Name a trial's folder by what it tries: learning_rate=0.004,seed=1.

    What a file system or a shell would stumble over becomes a dash; such a name, or a long one, ends in a digest.
    """
    parts = [f"{name}={text}" for name, text in values.items()] + ([] if seed is None else [f"seed={seed}"])
    full = ",".join(parts)
    plain = re.sub(r"[^\w.,=+-]+", "-", full)
    if plain == full and len(full) <= LONGEST_NAME:
        return full
    return f"{plain[:LONGEST_NAME]}-{blake2b(full.encode(), digest_size=4).hexdigest()}"


def read_course(folder: Path) -> Course:
    """Read from a run's events how far it has come; also of a run that is being written."""
    path = folder / EVENTS
    events = read_events(path) if path.is_file() else []
    updates = max((event["step"] for event in events), default=0)
    length = max((event["max_steps"] for event in events if event["event"] == "run"), default=0)
    broken = [
        event["step"]
        for event in events
        for name in ("loss", "eval_loss")
        if name in event and not math.isfinite(event[name])
    ]
    evaluations = [event for event in events if event["event"] == "eval" and 0 < event["step"] < length]
    return Course(updates, length, min(broken, default=None), tuple(evaluations))


def read_outcome(folder: Path) -> Outcome | None:
    """Read what came of a trial; None while there is work to do."""
    results = read_results(folder)
    if results is not None:
        if math.isfinite(results["eval_loss"]):
            return Outcome("finished", results=results)
        return Outcome("diverged", "the final evaluation loss is not finite")
    try:
        return Outcome(**json.loads((folder / VERDICT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Note what came of a trial that left no results."""
    written = folder / f".{VERDICT}.tmp"
    written.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
    written.replace(folder / VERDICT)


class TrialProcess:
    """A trial's process, in a session of its own: a Ctrl-C in the terminal does not reach it, `end` does.

    Args:
        trial: The trial; its folder is made where it is missing.
        command: What to run; its output goes to the folder's log.
        environment: Variables beside this process's own.
        keep_open: File descriptors that stay open in the process, as locks are held by it.
    """

    def __init__(
        self, trial: Trial, command: Sequence[str], environment: Mapping[str, str], keep_open: Sequence[int]
    ) -> None:
        self.trial = trial
        trial.folder.mkdir(parents=True, exist_ok=True)
        (trial.folder / VERDICT).unlink(missing_ok=True)
        with (trial.folder / LOG).open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=keep_open,
            )

    def poll(self) -> Outcome | None:
        """Return what came of the trial once its process has ended; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        outcome = read_outcome(self.trial.folder)
        if outcome is None:
            outcome = Outcome("failed", last_words(self.trial.folder / LOG) or f"exit code {code}")
            write_outcome(self.trial.folder, outcome)
        return outcome

    def give_up(self, outcome: Outcome, *, grace: float) -> Outcome:
        """End the process and note why; return what came of it, which is its results where it was about to end."""
        self.end(grace=grace)
        finished = read_outcome(self.trial.folder)
        if finished is not None:
            return finished
        write_outcome(self.trial.folder, outcome)
        return outcome

    def ask_to_end(self) -> None:
        """Send SIGTERM to the process and its children."""
        self._signal(signal.SIGTERM)

    def end(self, *, grace: float) -> None:
        """Ask the process and its children to end, wait `grace` seconds, then kill what is left."""
        self.ask_to_end()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=grace)
        finally:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # all of them have ended; macOS says it the second way
            os.killpg(self._process.pid, number)


def last_words(log: Path) -> str:
    """Return the last error that a log tells, or its last line."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or [""])[-1]
