"""What a run came to, so that two of them can be compared."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_strategies.reports import read_events

# Events of an interruption: a new process, the request to stop and the checkpoint that it brings, a new data loader.
INTERRUPTED = ("run", "request", "save", "worker")

# What differs between two runs of the same thing: clocks, and what is measured with them.
CLOCKED = ("time", "per_second", "runtime", "mfu", "peak_memory")


@dataclass(frozen=True)
class Outcome:
    """A drill's verdict.

    Args:
        fault: What was done.
        problem: How the run did not come through; empty where it did.
    """

    fault: str
    problem: str = ""


def weights_digest(output: Path) -> str:
    """Hash the final weights of a run."""
    return hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest()


def story(output: Path) -> list[dict[str, Any]]:
    """List a run's events without clocks and interruptions: what an uninterrupted run would have as well."""
    events = [event for event in read_events(output / "events.jsonl") if event["event"] not in INTERRUPTED]
    return [
        {name: str(value) for name, value in event.items() if not any(word in name for word in CLOCKED)}
        for event in events
    ]


def steps_logged(output: Path) -> int:
    """Return the last update that a run's log knows; 0 before the first."""
    path = output / "events.jsonl"
    return max((event["step"] for event in read_events(path)), default=0) if path.is_file() else 0


def resumed_at(said: str) -> int:
    """Return the update that a run says it goes on from; 0 where it begins."""
    found = re.search(r"resuming from .*checkpoint-(\d+)$", said, re.MULTILINE)
    return int(found[1]) if found else 0


def is_finished(output: Path) -> bool:
    """Tell whether a run's folder holds its results."""
    try:
        return "eval_loss" in json.loads((output / "all_results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def difference(output: Path, reference: Path) -> str:
    """Say how a finished run differs from one that nothing happened to; nothing where it does not, to the last bit."""
    if not is_finished(output):
        return "it is not finished"
    if weights_digest(output) != weights_digest(reference):
        return "its weights are others"
    ours, theirs = story(output), story(reference)
    for mine, other in zip(ours, theirs):
        if mine != other:
            return f"its log differs at step {other['step']}: {mine} instead of {other}"
    return "" if len(ours) == len(theirs) else f"its log has {len(ours)} events instead of {len(theirs)}"
