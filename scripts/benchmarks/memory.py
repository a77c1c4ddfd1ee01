"""Planned memory against measured: what `scripts/plan.py memory` says, and what a process really took.

Each case trains a few updates on random tokens, in a process of its own. States are the bytes of weights, gradients
and the optimizer's tensors. The peak is that of the resident set from the first update on, less what was resident
before, when everything was imported; on a GPU it is the most that was allocated at once. What a plan lets a CPU's
allocator keep was chosen on these cases. A case that is on disk is not measured again, only planned.
"""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import Findings, Table
from .memory_use.cases import CASES, words_of
from .memory_use.log import Measured, MemoryLog

if TYPE_CHECKING:
    from hf_strategies.planning.process_memory import ProcessMemory

ROOT = Path(__file__).parents[2]
ROWS = Path(__file__).parent / "rows" / "memory.jsonl"
STATES_WITHIN, PEAK_WITHIN = 5, 15  # percent


def run(*, only: str = "") -> Findings:
    """Plan the cases in turn, and measure those that are not on disk.

    Args:
        only: A part of the names of the cases to look at; all where it is left out.

    Returns:
        One row for each case, and how many are as near as they should be.
    """
    from .training_runs.measure import made_on

    log = MemoryLog(ROWS)
    rows: list[dict[str, Any]] = []
    seen: list[Measured] = []
    for case in (name for name in CASES if only in name):
        planned, measured = plan(case), _measure(case, log)
        seen.append(measured)
        states = planned.states.weights + planned.states.gradients + planned.states.optimizer
        rows.append(
            {
                "case": case,
                "parameters": planned.states.trained + planned.states.frozen,
                "states_mb": states / 1e6,
                "states %": round(100 * (states / measured.states - 1), 1),
                "planned_mb": planned.peak / 1e6,
                "peak_mb": measured.peak / 1e6,
                "peak %": round(100 * (planned.peak / measured.peak - 1), 1),
            }
        )
    near = sum(abs(row["states %"]) <= STATES_WITHIN and abs(row["peak %"]) <= PEAK_WITHIN for row in rows)
    goal = f"{near} of {len(rows)} plans are within {STATES_WITHIN}% in their states and {PEAK_WITHIN}% in their peak"
    origin = made_on([row.finished for row in seen], [row.environment for row in seen])
    return Findings([Table(rows)], remarks=[goal, *_beyond(rows)], origin=origin)


def plan(case: str) -> "ProcessMemory":
    """Plan a case as `scripts/plan.py memory` does."""
    from hf_strategies.planning.memory_request import parse_memory
    from hf_strategies.planning.planned_model import PlannedModel
    from hf_strategies.planning.process_memory import process_memory

    request = parse_memory(words_of(case))
    recompute = bool(request.arguments.training.get("gradient_checkpointing"))
    return process_memory(PlannedModel(request), recompute=recompute)


def _measure(case: str, log: MemoryLog) -> Measured:
    from .training_runs.measure import device_name, environment

    words = words_of(case)
    key = f"{' '.join(words)} on {device_name()}"
    if (kept := log.get(key)) is not None:
        return kept
    command = [sys.executable, "-m", "scripts.benchmarks.memory_use.process", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{case}: {done.stderr}")
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    today = date.today().isoformat()
    return log.add(Measured(key=key, case=case, environment=environment(), finished=today, **found))


def _beyond(rows: list[dict[str, Any]]) -> list[str]:
    far = [row["case"] for row in rows if abs(row["peak %"]) > PEAK_WITHIN]
    if not far:
        return []
    return [
        f"farther off: {'; '.join(far)}. What is missing is no tensor but what the allocator cannot use again: with "
        "every block mapped on its own a process takes what its tensors do"
    ]
