"""From a job and a spread to a row: found on disk, or measured."""

import time
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from pathlib import Path

from hf_strategies.data.cache import digest
from hf_strategies.errors import UserError

from ..fault_drills.processes import Runs
from ..training_runs.measure import DECISIVE, ROOT, code_version, device_name, environment
from ..training_runs.rows import Finished, KeptRows
from ..tuning_runs.workshop import TUNING
from .curves import read_curves
from .jobs import Job
from .launch import finish, launcher_environment, start_ranks
from .sharded import VARIABLE
from .spreads import Spread

MACHINES = ROOT / "accelerate_configs"


@dataclass(frozen=True, kw_only=True)
class ParallelRow(Finished):
    """One run.

    Args:
        job: What was learned; the row's contender is how the run was spread.
        curves: Of each figure in `curves.SHOWN`, its values in the order of the updates.
    """

    job: str
    curves: dict[str, list[float]]


@cache
def parallel_code() -> str:
    """Hash what decides the numbers of these runs, their configurations with it."""
    configurations = [*MACHINES.glob("*.yaml"), *(ROOT / "ds_configs").glob("*.json")]
    return code_version((*DECISIVE, *TUNING), (*sorted(configurations), *sorted(Path(__file__).parent.glob("*.py"))))


def measure(job: Job, spread: Spread, runs: Runs, folder: Path) -> dict[str, list[float]]:
    """Make a run and read its curves.

    Args:
        job: What is learned.
        spread: How.
        runs: Starts processes.
        folder: With what `write_material` wrote; the run gets a folder in it.

    Raises:
        UserError: It failed.
    """
    output = folder / digest([job.name, str(spread)])[:16]
    words = [*job.words(folder), "--per_device_train_batch_size", str(spread.micro_batch), "--output_dir", str(output)]
    given = launcher_environment(MACHINES / f"{spread.machine}.yaml", spread.processes) if spread.machine else {}
    script = job.script
    if spread.shards_on_cpu:
        given[VARIABLE], script = script, "benchmarks.parallel_runs.sharded"
    members = start_ranks(runs, words, given, spread.processes, script) if given else [runs.start(words, {}, script)]
    problem = finish(members)
    if problem:
        raise UserError(f"{job.name}, {spread}: {problem}")
    return read_curves(output)


def find_or_measure(job: Job, spread: Spread, runs: Runs, folder: Path, rows: KeptRows[ParallelRow]) -> ParallelRow:
    """Give the row of a run, from disk where the same code has made it; errors are those of `measure`."""
    asked = {"job": asdict(job), "spread": asdict(spread)}
    key = digest([str(asked), parallel_code(), device_name()])[:16]
    row = rows.get(key)
    if row is None:
        started = time.perf_counter()
        curves = measure(job, spread, runs, folder)
        row = ParallelRow(
            key=key, job=job.name, contender=str(spread), seed=42, settings=asked, curves=curves,
            wall_seconds=round(time.perf_counter() - started, 1), device=device_name(), environment=environment(),
            code=parallel_code(), finished=date.today().isoformat(),
        )  # fmt: skip
        rows.append(row)
        print(f"{job.name}, {spread}: {row.wall_seconds:.0f} s", flush=True)
    return row
