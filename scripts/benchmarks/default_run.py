"""The default run against AdamW: the recipe as shipped, and the same settings with AdamW at each of four rates.

Everything but the optimizer and its rate is equal: model, tokenizer, data and their order, updates, schedule, decay,
clipping. One seed each, so small differences mean nothing. A finished run is kept under runs/benchmarks/ and not
repeated; remove its folder to measure again.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "runs" / "benchmarks" / "default_run"
ADAMW_RATES = ("1e-3", "2e-3", "4e-3", "8e-3")


def run() -> list[dict[str, Any]]:
    """Train every contender in turn, about five minutes each on two cores; return one row each."""
    contenders: dict[str, list[str]] = {"as shipped": []}
    contenders |= {f"adamw {rate}": ["--optimizer", "adamw", "--learning_rate", rate] for rate in ADAMW_RATES}
    return [{"run": name, **_results(name, flags)} for name, flags in contenders.items()]


def _results(name: str, flags: list[str]) -> dict[str, Any]:
    folder = FOLDER / name.replace(" ", "-")
    command = [sys.executable, "scripts/pretrain.py", "--output_dir", str(folder), *flags]
    subprocess.run(command, cwd=ROOT, check=True)
    results = json.loads((folder / "all_results.json").read_text(encoding="utf-8"))
    return {
        "eval_loss": round(results["eval_loss"], 3),
        "bits_per_byte": round(results["eval_bits_per_byte"], 3),
    }
