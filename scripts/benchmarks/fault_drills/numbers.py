"""Numbers that go wrong in the middle of a run: it must end within a hundredth of the loss of a clean one."""

import json
import shutil
from pathlib import Path
from typing import Any

from hf_strategies.data.standard_library import standard_library_files
from hf_strategies.reports import read_events

from .outcomes import Outcome
from .processes import Runs, command
from .sabotage import VARIABLE

SABOTAGE = "benchmarks.fault_drills.sabotage"

# A fault may cost forty-five updates: so many more are needed for them to be worth less than a hundredth of the loss.
# In runs of 600 updates of batches of 8, 13 of 15 drills stayed within it.
SETTINGS: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 2, "max_seq_length": 64, "max_steps": 1000, "logging_steps": 10,
    "eval_steps": 1000, "save_steps": 40, "warmup_steps": 20, "max_eval_samples": 256, "global_batch_size": 16,
    "per_device_train_batch_size": 16,
}  # fmt: skip
MODULES = 60
FIRST_UPDATE, LAST_UPDATE = 100, 160
TOLERANCE = 0.01  # of the clean run's loss


def write_source(path: Path) -> Path:
    """Write a text in which nothing comes twice: its loss falls slowly, so that it says how much was learned."""
    modules = standard_library_files()[:MODULES]
    path.write_text("\n\n".join(module.read_text(encoding="utf-8", errors="replace") for module in modules), "utf-8")
    return path


def clean(runs: Runs, corpus: Path, output: Path, *, seed: int, **settings: Any) -> Outcome:
    """Run undisturbed: the guard must not stir."""
    code = runs.finish(command(corpus, output, seed=seed, **SETTINGS | settings)).wait()
    fault = f"none, seed {seed}"
    if code:
        return Outcome(fault, f"exit code {code}")
    alarms = _decisions(output)
    return Outcome(fault, f"{len(alarms)} false alarms: {alarms[0]}" if alarms else "")


def drill(
    runs: Runs,
    corpus: Path,
    reference: Path,
    output: Path,
    *,
    kind: str,
    seed: int,
    tolerance: float = TOLERANCE,
    **settings: Any,
) -> Outcome:
    """Spoil one run.

    Args:
        runs: Starts processes.
        corpus: Its text, as of `write_source`.
        reference: Folder of the same run with the same seed, undisturbed.
        output: Where it runs; removed when it came through.
        kind: A key of `sabotage.KINDS`.
        seed: Of the run; decides the moment, too.
        tolerance: Share of the clean run's loss that may be lost.
        settings: Of both runs, in the place of `SETTINGS`.
    """
    update = FIRST_UPDATE + 17 * seed % (LAST_UPDATE - FIRST_UPDATE)
    fault = f"{kind} at update {update}, seed {seed}"
    env = {VARIABLE: f"{kind}:{update}"}
    run = runs.finish(
        command(corpus, output, seed=seed, **SETTINGS | settings), env, script="benchmarks.fault_drills.sabotage"
    )
    if run.wait():
        return Outcome(fault, f"exit code {run.wait()}: {run.said.strip()[-200:]}")
    if not _decisions(output):
        return Outcome(fault, "the guard did not see it")
    loss, clean_loss = _loss(output), _loss(reference)
    excess = loss / clean_loss - 1.0
    if not excess <= tolerance:
        return Outcome(fault, f"loss {loss:.4f} instead of {clean_loss:.4f}, {excess:+.1%}")
    shutil.rmtree(output)
    return Outcome(fault)


def _decisions(output: Path) -> list[dict]:
    return [event for event in read_events(output / "events.jsonl") if event["event"] == "guard"]


def _loss(output: Path) -> float:
    return json.loads((output / "all_results.json").read_text(encoding="utf-8"))["eval_loss"]
