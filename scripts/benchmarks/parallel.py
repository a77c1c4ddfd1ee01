"""The same run, however it is spread: losses and gradient norms of every update, beside those of one process.

Each run learns from the same sequences in the same order, eight in an update, in float32 and without dropout, by AdamW
with gradients clipped. What differs is how many processes share the work, what takes weights, gradients and states
apart, and in how many micro-batches an update comes. A residual is the largest relative difference over all updates
from the run of one process that takes all eight sequences at once. Every process is one of scripts/pretrain.py or
scripts/finetune.py, with the environment that `accelerate launch` gives it for the file in accelerate_configs/. A run
that is on disk is not made again until the code changes.

- pretraining: a transformer from scratch, on full rows.
- ragged rows: fine-tuning of all weights on answers of very different lengths, padded: a loss that is averaged over
  micro-batches or processes, and not over the tokens of all of them, is another one.
- LoRA: the same with a low-rank adapter.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_strategies.errors import UserError, did_you_mean

from . import Findings, Table
from .training_runs.goals import verdict

if TYPE_CHECKING:
    from .parallel_runs.rows import ParallelRow

PARTS = ("pretraining", "ragged rows", "LoRA")  # a key of `parallel_runs.jobs.JOBS` each
ROWS = Path(__file__).parent / "rows" / "parallel.jsonl"
AT_MOST = 1e-5
HOW_TO_READ = f"Batches are micro-batch x accumulation x replicas; the goal is that no residual is above {AT_MOST:g}."


def run(*, parts: tuple[str, ...] = PARTS, fresh: bool = False) -> Findings:
    """Make every run, and compare.

    Args:
        parts: Which: "pretraining", "ragged rows", "LoRA".
        fresh: Forget what was measured on this device before.
    """
    unknown = [f"--parts: unknown part {part!r}{did_you_mean(part, PARTS)}" for part in parts if part not in PARTS]
    if unknown:
        raise UserError("\n".join(unknown))

    from .fault_drills.processes import Runs
    from .parallel_runs.jobs import JOBS, write_material
    from .parallel_runs.rows import ParallelRow, find_or_measure
    from .parallel_runs.spreads import REFERENCE, SPREADS
    from .training_runs.measure import device_name, made_on
    from .training_runs.rows import KeptRows

    rows = KeptRows(ROWS, ParallelRow)
    if fresh:
        rows.forget(device_name())
    with tempfile.TemporaryDirectory(prefix="parallel-") as made, Runs(Path(made)) as runs:
        write_material(Path(made))
        found = {
            part: [find_or_measure(JOBS[part], spread, runs, Path(made), rows) for spread in (REFERENCE, *SPREADS)]
            for part in parts
        }
    made_rows = [row for of_part in found.values() for row in of_part]
    origin = made_on([row.finished for row in made_rows], [row.environment for row in made_rows])
    tables = [Table(residual_table(of_part), f"{part}, residuals") for part, of_part in found.items()]
    return Findings(tables, remarks=[HOW_TO_READ], origin=origin)


def residual_table(rows: "Sequence[ParallelRow]") -> list[dict[str, Any]]:
    """Give one line per run, that of the reference first: how far its curves are from the reference's."""
    from .parallel_runs.curves import SHOWN, residuals

    table: list[dict[str, Any]] = []
    for row in rows:
        found = residuals(row.curves, rows[0].curves)
        named = {SHOWN[name]: f"{value:.1e}" for name, value in found.items()}
        table.append({"run": row.contender, **named, "verdict": verdict(max(found.values()), AT_MOST)})
    return table
