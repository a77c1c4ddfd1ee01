"""What StrategyTrainer and its callbacks cost: time spent inside our code, over the step time of a plain Trainer."""

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from . import require_at_least, require_multiple

if TYPE_CHECKING:
    from .timing.trainer_overhead import StepClock


def run(
    *,
    num_steps: int = 10,
    num_warmup_steps: int = 2,
    num_pairs: int = 3,
    hidden_size: int = 256,
    num_hidden_layers: int = 5,
    sequence_length: int = 256,
    rows_per_step: int = 16,
) -> list[dict[str, float | str]]:
    """Train plain and ours in turn, and compare.

    Args:
        num_steps: Timed updates of each run.
        num_warmup_steps: Updates before them that are not timed.
        num_pairs: Runs of each kind; medians are reported.
        hidden_size: Width of the Llama, a multiple of 16; with the defaults it has 5 M parameters.
        num_hidden_layers: Depth of the Llama.
        sequence_length: Tokens per row.
        rows_per_step: Rows per update.

    Returns:
        One row for each trainer: `step_ms`, and the `ours_ms` of a step that our code takes as `overhead_percent` of a
        plain step.
    """
    require_at_least(1, num_steps=num_steps, num_pairs=num_pairs)
    require_at_least(1, num_hidden_layers=num_hidden_layers, rows_per_step=rows_per_step)
    require_at_least(2, sequence_length=sequence_length)
    require_at_least(0, num_warmup_steps=num_warmup_steps)
    require_multiple(16, hidden_size=hidden_size)

    from .timing.trainer_overhead import train

    sizes = {
        "hidden_size": hidden_size,
        "num_hidden_layers": num_hidden_layers,
        "sequence_length": sequence_length,
        "rows_per_step": rows_per_step,
    }
    clocks: dict[bool, list[StepClock]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(num_pairs):
            for ours, found in clocks.items():
                found.append(
                    train(ours, Path(folder), num_steps=num_steps, num_warmup_steps=num_warmup_steps, sizes=sizes)
                )
    plain_ms = _median_ms([clock.seconds for clock in clocks[False]], num_steps)
    rows: list[dict[str, float | str]] = []
    for ours, found in clocks.items():
        ours_ms = _median_ms([clock.metered for clock in found], num_steps)
        rows.append(
            {
                "trainer": "StrategyTrainer and its callbacks" if ours else "Trainer",
                "step_ms": _median_ms([clock.seconds for clock in found], num_steps),
                "ours_ms": ours_ms,
                "overhead_percent": 100.0 * ours_ms / plain_ms,
            }
        )
    return rows


def _median_ms(seconds: list[float], num_steps: int) -> float:
    return 1e3 * statistics.median(seconds) / num_steps
