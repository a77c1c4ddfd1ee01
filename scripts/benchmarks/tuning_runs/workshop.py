"""From trials to rows: announced with the time they take, found on disk, or made."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from statistics import median

from hf_strategies.reports import format_duration, format_table

from ..training_runs.measure import DECISIVE, Workshop, code_version, device_name, environment
from ..training_runs.rows import KeptRows
from .trial import Trial, TunedRow

# What decides the numbers of fine-tuning, besides what decides those of pretraining.
TUNING = ("adapters", "augmentation", "callbacks", "metrics", "module_tree", "objectives", "recipes", "tasks")


@cache
def tuning_code() -> str:
    return code_version((*DECISIVE, *TUNING), tuple(sorted(Path(__file__).parent.glob("*.py"))))


class TuningWorkshop(Workshop[Trial, TunedRow]):
    """Makes runs of fine-tuning, and of what they start from."""

    rows: KeptRows[TunedRow]

    def key(self, trial: Trial) -> str:
        return trial.key()

    def find(self, trial: Trial) -> TunedRow | None:
        """Return the trial's row where there is one; another trial may have made the same run under its own name."""
        row = super().find(trial)
        return row and named(row, trial)

    def measure(self, trial: Trial, folder: Path, lock: int) -> TunedRow:
        results, seconds = trial.carry_out(folder, lock)
        return TunedRow(
            key=folder.name, part=trial.part, task=trial.task, contender=trial.contender, seed=trial.seed,
            settings=trial.published(), results=results, wall_seconds=seconds, device=device_name(),
            environment=environment(), code=tuning_code(), finished=date.today().isoformat(),
        )  # fmt: skip


def named(row: TunedRow, trial: Trial) -> TunedRow:
    return replace(row, part=trial.part, task=trial.task, contender=trial.contender, seed=trial.seed)


def estimated_seconds(trial: Trial, rows: KeptRows[TunedRow]) -> float:
    """Guess what a run takes: as long as others of its kind took here, if there are any."""
    kind = (trial.part, trial.task, trial.contender)
    alike = [row.wall_seconds for row in rows.of_device(device_name()) if (row.part, row.task, row.contender) == kind]
    return median(alike) if alike else trial.seconds


def describe_plan(trials: Sequence[Trial], workshop: TuningWorkshop) -> str:
    """List the runs by part, task and contender, with the minutes that they will take."""
    kinds: dict[tuple[str, str, str], dict[str, Trial]] = {}
    for trial in trials:
        kinds.setdefault((trial.part, trial.task, trial.contender), {}).setdefault(workshop.key(trial), trial)
    table: list[list[object]] = []
    planned: set[str] = set()
    total, count = 0.0, 0
    for kind, by_key in kinds.items():
        found = [row for key in by_key if (row := workshop.rows.get(key))]
        # What another part makes too is counted there.
        missing = [trial for key, trial in by_key.items() if not workshop.rows.get(key) and key not in planned]
        planned |= by_key.keys()
        seconds = sum(estimated_seconds(trial, workshop.rows) for trial in missing)
        older = sum(row.code != tuning_code() for row in found)
        table.append([*kind, len(by_key), len(found), older, round(seconds / 60, 1)])
        total, count = total + seconds, count + len(missing)
    headers = ["part", "task", "contender", "runs", "done", "of_older_code", "minutes"]
    return f"{format_table(table, headers)}\n\n{count} runs to make on {device_name()}, about {format_duration(total)}"


def make_all(trials: Sequence[Trial], workshop: TuningWorkshop) -> list[TunedRow]:
    """Give every trial's row; say of each that must be made how it went, and how long the rest will take."""
    costs = {
        workshop.key(trial): estimated_seconds(trial, workshop.rows)
        for trial in trials
        if workshop.rows.get(workshop.key(trial)) is None
    }
    total, spent, expected, done = len(costs), 0.0, 0.0, 0
    rows = []
    for trial in trials:
        row = workshop.find(trial)
        if row is None:
            started = time.perf_counter()
            row = named(workshop.run(trial), trial)
            done, spent = done + 1, spent + time.perf_counter() - started
            expected += costs.pop(workshop.key(trial))
            left = sum(costs.values()) * spent / expected
            said = f"{headline(row)} in {format_duration(row.wall_seconds)}; about {format_duration(left)} left"
            print(f"[{done}/{total}] {trial}: {said}", flush=True)
        rows.append(row)
    return rows


SHOWN = ("test_accuracy", "eval_accuracy", "own_loss", "eval_loss", "speedup")  # the first that a run has


def headline(row: TunedRow) -> str:
    """Return a run's own figure with its name."""
    name = next((name for name in SHOWN if name in row.results), None)
    return "done" if name is None else f"{name} {row.results[name]:.3f}"
