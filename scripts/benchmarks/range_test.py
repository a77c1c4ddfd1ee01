"""Where `sweep.py find-lr` points, beside a real sweep: its band of rates, and what a run within it would lose.

The sweep is lr-sensitivity's: nine rates over two decades, of the shipped recipe and of AdamW. Each contender's range
test runs with the very settings of its runs, three seeds, and is given nothing of the sweep. The loss at a rate that
was not swept is read off between its neighbours, on the logarithm of the rate.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hf_strategies.errors import UserError

from . import Findings, Table, require_at_least
from .lr_sensitivity import mean_losses, spread
from .training_runs.contenders import adamw, shipped, shipped_recipe
from .training_runs.measure import device_name
from .training_runs.plan import ROWS
from .training_runs.rows import RowFile
from .training_runs.trial import EMBEDDED, Trial

SWEEP = Path(__file__).parents[1] / "sweep.py"


def run(
    *,
    size: str = "1M",
    corpus: str = EMBEDDED,
    updates: int = 300,
    seeds: int = 2,
    num_rates: int = 9,
    adamw_rate: float = 2e-3,
    eval_samples: int = 192,
) -> Findings:
    """Test both contenders' ranges; the options say which runs of lr-sensitivity they are held against.

    Args:
        size: As of lr-sensitivity, like all that follow.
        corpus: Text.
        updates: Length of every run.
        seeds: Seeds of every rate.
        num_rates: Rates over the two decades.
        adamw_rate: The middle of AdamW's.
        eval_samples: Held-out blocks of each evaluation.
    """
    require_at_least(1, updates=updates, seeds=seeds, eval_samples=eval_samples)
    require_at_least(2, num_rates=num_rates)
    contenders = {
        "ours": (shipped, shipped_recipe().training["learning_rate"]),
        "adamw": (lambda factor: adamw(factor * adamw_rate), adamw_rate),
    }
    place: dict[str, Any] = {
        "size": size, "corpus": corpus, "updates": updates, "eval_every": updates, "eval_samples": eval_samples,
    }  # fmt: skip
    known = {
        (row.contender, row.seed, row.settings["learning_rate"]): row
        for row in RowFile(ROWS / "lr_sensitivity.jsonl").of_device(device_name())
        if (row.size, row.updates) == (size, updates)
    }
    table = []
    for name, (settings, middle) in contenders.items():
        swept = {}
        for factor in spread(num_rates):
            rate = settings(factor).get("learning_rate", middle)
            found = [known.get((name, seed, rate)) for seed in range(seeds)]
            rows = [row for row in found if row is not None]
            if len(rows) < seeds:
                raise UserError(f"{name} at {rate:g} was not swept here: run lr-sensitivity first")
            swept[factor] = rows
        untrained = math.log(shipped_recipe().model.vocab_size or 256)
        losses = mean_losses({name: swept}, untrained=untrained)[name]
        trial = Trial(contender=name, **place, seed=0, settings=settings(1.0))
        low, high = band_of(trial)
        table.append(compare(name, {factor * middle: loss for factor, loss in losses.items()}, low, high))
    return Findings([Table(table)])


def band_of(trial: Trial) -> tuple[float, float]:
    """Run find-lr in a process of its own, and return both ends of its band."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(SWEEP), "find-lr", *trial.command_line(), "--output_dir", f"{folder}/range"]
        subprocess.run(command, check=True)
        band = json.loads(Path(folder, "range", "lr_range.json").read_text(encoding="utf-8"))["band"]
    return band["low"], band["high"]


def compare(name: str, losses: dict[float, float], low: float, high: float) -> dict[str, Any]:
    """Say where the sweep's best rate lies, and how much loss each of the band's ends and its middle would cost."""
    best = min(losses, key=lambda rate: losses[rate])
    middle = math.sqrt(low * high)
    return {
        "contender": name,
        "band": f"{low:.2g} to {high:.2g}",
        "best_of_sweep": f"{best:.2g}",
        "best_loss": round(losses[best], 3),
        **{
            f"above_best_at_{place}": round(interpolated(losses, rate) - losses[best], 3)
            for place, rate in (("low", low), ("middle", middle), ("high", high))
        },
    }


def interpolated(losses: dict[float, float], rate: float) -> float:
    """Read the loss at a rate off between its neighbours; beyond the ends it is that of the end."""
    rates = sorted(losses)
    if rate <= rates[0] or rate >= rates[-1]:
        return losses[rates[0] if rate <= rates[0] else rates[-1]]
    place = next(index for index, other in enumerate(rates) if other >= rate)
    below, above = rates[place - 1], rates[place]
    share = math.log(rate / below) / math.log(above / below)
    return (1 - share) * losses[below] + share * losses[above]
