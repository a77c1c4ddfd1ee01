"""Numbers that go wrong in the middle of a run: it must end within a hundredth of the loss of a clean one."""

import json
import shutil
from pathlib import Path
from typing import Any

from hf_strategies.reports import read_events

from .outcomes import Outcome
from .processes import Runs, command
from .sabotage import VARIABLE

# Long enough to learn something, to lose some fifty updates to a fault, and to be where a clean run is at its end.
SETTINGS: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 2, "max_steps": 480, "logging_steps": 10, "eval_steps": 480,
    "save_steps": 40, "warmup_steps": 20, "max_eval_samples": 64,
}  # fmt: skip
DOCUMENTS = 1000  # none comes twice
FIRST_UPDATE, LAST_UPDATE = 100, 160
TOLERANCE = 0.01  # of the clean run's loss


def clean(runs: Runs, corpus: Path, output: Path, *, seed: int) -> Outcome:
    """Run undisturbed: the guard must not stir."""
    code = runs.finish(command(corpus, output, seed=seed, **SETTINGS)).wait()
    fault = f"none, seed {seed}"
    if code:
        return Outcome(fault, f"exit code {code}")
    alarms = _decisions(output)
    return Outcome(fault, f"{len(alarms)} false alarms: {alarms[0]}" if alarms else "")


def drill(runs: Runs, corpus: Path, reference: Path, output: Path, *, kind: str, seed: int) -> Outcome:
    """Spoil one run.

    Args:
        runs: Starts processes.
        corpus: Its text, of `DOCUMENTS`.
        reference: Folder of the same run with the same seed, undisturbed.
        output: Where it runs; removed when it came through.
        kind: A key of `sabotage.KINDS`.
        seed: Of the run; decides the moment, too.
    """
    update = FIRST_UPDATE + 17 * seed % (LAST_UPDATE - FIRST_UPDATE)
    fault = f"{kind} at update {update}, seed {seed}"
    env = {VARIABLE: f"{kind}:{update}"}
    run = runs.finish(command(corpus, output, seed=seed, **SETTINGS), env, script="sabotage")
    if run.wait():
        return Outcome(fault, f"exit code {run.wait()}: {run.said.strip()[-200:]}")
    if not _decisions(output):
        return Outcome(fault, "the guard did not see it")
    loss, clean_loss = _loss(output), _loss(reference)
    excess = loss / clean_loss - 1.0
    if not excess <= TOLERANCE:
        return Outcome(fault, f"loss {loss:.4f} instead of {clean_loss:.4f}, {excess:+.1%}")
    shutil.rmtree(output)
    return Outcome(fault)


def _decisions(output: Path) -> list[dict]:
    return [event for event in read_events(output / "events.jsonl") if event["event"] == "guard"]


def _loss(output: Path) -> float:
    return json.loads((output / "all_results.json").read_text(encoding="utf-8"))["eval_loss"]
