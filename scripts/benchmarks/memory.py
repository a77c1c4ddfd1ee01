"""Planned memory against measured: what `scripts/plan.py memory` says, and what a process really took.

Each case trains three updates and evaluates, in a process of its own, on random tokens. States are the bytes of
weights, gradients and the optimizer's tensors. The peak is that of the resident set from the first update on, less
what was resident before, when everything was imported; on a GPU it is the most that was allocated at once.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import Findings, Table
from .memory_use.cases import CASES, words_of

ROOT = Path(__file__).parents[2]
STATES_WITHIN, PEAK_WITHIN = 5, 15  # percent


def run(*, only: str = "") -> Findings:
    """Measure the cases in turn.

    Args:
        only: A part of the names of the cases to measure; all where it is left out.

    Returns:
        One row for each case, and how many are as near as they should be.
    """
    rows = [_row(case) for case in CASES if only in case]
    near = sum(abs(row["states %"]) <= STATES_WITHIN and abs(row["peak %"]) <= PEAK_WITHIN for row in rows)
    goal = f"{near} of {len(rows)} plans are within {STATES_WITHIN}% in their states and {PEAK_WITHIN}% in their peak"
    return Findings([Table(rows)], remarks=[goal])


def _row(case: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "scripts.benchmarks.memory_use.process", *words_of(case)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{case}: {done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    return {
        "case": case,
        "parameters": found["parameters"],
        "planned_states_mb": found["planned_states"] / 1e6,
        "states %": 100 * (found["planned_states"] / found["measured_states"] - 1),
        "planned_peak_mb": found["planned_peak"] / 1e6,
        "peak_mb": found["measured_peak"] / 1e6,
        "peak %": 100 * (found["planned_peak"] / found["measured_peak"] - 1),
    }
