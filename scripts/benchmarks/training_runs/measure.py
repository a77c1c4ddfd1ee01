"""From a trial to its row: found on disk, or measured by running the script."""

import json
import math
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import hf_strategies
from hf_strategies.data.cache import digest
from hf_strategies.errors import UserError
from hf_strategies.reports import describe_environment, read_events

from .rows import AnyRow, KeptRows, Row
from .run_process import locked, run_script
from .trial import Trial, corpus_digest, corpus_name, key_of, published_settings

ROOT = Path(__file__).parents[3]
SCRIPTS = {"torch_muon": Path(__file__).with_name("torch_muon.py")}
PRETRAIN = ROOT / "scripts" / "pretrain.py"
OUTPUT = "out"  # of a run, in its folder

# What decides which numbers a run computes, and how fast: parts of the package, and the peer that is ours to write.
DECISIVE = ("randomness.py", "distributed", "schedulers", "optimizers", "models", "data", "training", "runs")

Measure = Callable[[Trial], Row]
AnyTrial = TypeVar("AnyTrial")


@cache
def environment() -> dict[str, str]:
    return describe_environment()


def device_name() -> str:
    """Name what trains: the accelerator where there is one, else the CPU with as many cores as may be used."""
    machine = environment()
    if machine["accelerator"] != "none":
        return machine["accelerator"].partition(" (")[0]
    cores = machine["CPU cores"]
    return f"{machine['CPU']}, {cores} {'core' if cores == '1' else 'cores'}"


def made_on(days: Iterable[str], environments: Iterable[Mapping[str, str]]) -> str:
    """Say when and on what something was measured; a part that was not the same for all has all its values."""
    period = sorted(set(days))
    values: dict[str, dict[str, None]] = {}
    for environment in environments:
        for name, value in environment.items():
            values.setdefault(name, {})[value] = None
    machine = ", ".join(f"{name} {' or '.join(seen)}" for name, seen in values.items())
    return f"{' to '.join(dict.fromkeys((period[0], period[-1])))}; {machine}"


@cache
def code_version(names: tuple[str, ...] = DECISIVE, peers: tuple[Path, ...] = (SCRIPTS["torch_muon"],)) -> str:
    """Hash the code as far as it decides what a run computes: parts of the package, and what is compared with it."""
    package = Path(hf_strategies.__file__).parent
    parts = [*(package / name for name in names), *peers]
    files = [path for part in parts for path in ([part] if part.is_file() else sorted(part.rglob("*.py")))]
    return digest(path.read_text(encoding="utf-8") for path in files)[:16]


class Workshop(Generic[AnyTrial, AnyRow]):
    """Runs trials, and knows the rows of those that have been run; what a trial is, its kinds say.

    Args:
        benchmark: Whose rows they are.
        rows: Where finished runs are kept.
    """

    def __init__(self, benchmark: str, rows: KeptRows[AnyRow]) -> None:
        self.rows = rows
        self.used: dict[str, AnyRow] = {}
        self._folder = ROOT / "runs" / "benchmarks" / benchmark

    def key(self, trial: AnyTrial) -> str:
        """Name a trial by what decides its numbers."""
        raise NotImplementedError

    def measure(self, trial: AnyTrial, folder: Path, lock: int) -> AnyRow:
        """Make the trial's run.

        Args:
            trial: The trial.
            folder: Its own.
            lock: As of `run_script`.
        """
        raise NotImplementedError

    def find(self, trial: AnyTrial) -> AnyRow | None:
        """Return the trial's row where there is one."""
        self.rows.read()
        row = self.rows.get(self.key(trial))
        if row is not None:
            self.used[row.key] = row
        return row

    def run(self, trial: AnyTrial) -> AnyRow:
        """Run the script in a process of its own, and remove what it leaves once its row is on disk.

        Raises:
            UserError: The run failed; what it left is kept.
        """
        folder = self._folder / self.key(trial)
        with locked(folder) as lock:
            row = self.find(trial)  # another benchmark may have made it, or this one may have waited for it
            if row is None:
                row = self.measure(trial, folder, lock)
                self.rows.append(row)
                self.used[row.key] = row
            shutil.rmtree(folder, ignore_errors=True)
        return row


class Laboratory(Workshop[Trial, Row]):
    """Makes runs of pretraining."""

    def key(self, trial: Trial) -> str:
        settings = published_settings(trial.parse())
        return key_of(settings, corpus=_corpus_digest(trial.corpus), device=device_name())

    def measure(self, trial: Trial, folder: Path, lock: int) -> Row:
        script = SCRIPTS.get(str(trial.settings.get("optimizer")), PRETRAIN)
        wall_seconds = finish(str(trial), script, trial.command_line(), folder, lock)
        return _row(trial, folder.name, folder / OUTPUT, wall_seconds)


def finish(name: str, script: Path, words: Sequence[str], folder: Path, lock: int) -> float:
    """Run a script to its end, its output in `OUTPUT` of a folder, and return the seconds that it took.

    Raises:
        UserError: It failed; says how its output ends.
    """
    output, log = folder / OUTPUT, folder / "log.txt"
    shutil.rmtree(output, ignore_errors=True)  # of a run that was killed: it starts anew, so its seconds are whole
    started = time.perf_counter()
    status = run_script(script, [*words, "--output_dir", str(output)], log=log, lock=lock)
    if status:
        last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"{name}: the run ended with exit code {status}: {last} (all of it: {log})")
    return time.perf_counter() - started


def _row(trial: Trial, key: str, output: Path, wall_seconds: float) -> Row:
    """Read a finished run's folder."""
    results = json.loads((output / "all_results.json").read_text(encoding="utf-8"))
    events = read_events(output / "events.jsonl")
    begun = next(event for event in events if event["event"] == "run")
    logs = [event for event in events if event["event"] == "log"]
    sequences = begun["world_size"] * begun["per_device_train_batch_size"] * begun["gradient_accumulation_steps"]
    mfu = _median(logs, "mfu")
    return Row(
        key=key,
        contender=trial.contender,
        size=trial.size,
        corpus=corpus_name(trial.corpus),
        seed=trial.seed,
        updates=trial.updates,
        settings=published_settings(trial.parse()),
        eval_loss=results["eval_loss"],
        curve=[[event["step"], event["eval_loss"]] for event in events if event["event"] == "eval"],
        tokens_per_update=round(sequences * _median(logs, "tokens_per_second") / _median(logs, "samples_per_second")),
        seconds_per_update=sequences / _median(logs, "samples_per_second"),
        mfu=mfu if math.isfinite(mfu) else None,
        wall_seconds=round(wall_seconds, 1),
        device=device_name(),
        environment=environment(),
        code=code_version(),
        finished=date.today().isoformat(),
    )


def _median(logs: list[dict[str, Any]], name: str) -> float:
    """Median of what was logged, NaN where nothing was; half of the machine's hiccups do not move it."""
    values = [log[name] for log in logs if name in log]
    return statistics.median(values) if values else math.nan


@cache
def _corpus_digest(corpus: str) -> str:
    return corpus_digest(corpus)
