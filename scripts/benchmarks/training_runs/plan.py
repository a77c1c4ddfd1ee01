"""How a benchmark made of runs is carried out: rehearsed, announced with the time it takes, then run."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TypeVar

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.quantities import parse_batch_size
from hf_strategies.reports import format_duration, format_table

from .. import Findings
from .measure import Laboratory, Measure, code_version, device_name, made_on
from .rows import Finished, KeptRows, Row, RowFile
from .trial import Trial, corpus_name, shape_of

Found = TypeVar("Found")

ROWS = Path(__file__).parents[1] / "rows"
SECONDS_PER_PROCESS = 15.0  # to start, to evaluate, to write the report
MIN_SECONDS_PER_UPDATE = 0.02  # a small model on a large device waits for its launches
REACHED_SHARE = 0.3  # of the peak of a large product, by the small ones of a small model


@dataclass
class Rehearsal:
    """Stands in for runs while a benchmark is planned: it notes the trials and makes up their losses.

    Args:
        pace: Contenders' guessed learning per update, 1 where not given: it decides which lengths a search asks for.
    """

    pace: Mapping[str, float]
    trials: list[Trial] = field(default_factory=list)

    def __call__(self, trial: Trial) -> Row:
        self.trials.append(trial)
        loss = 20.0 - math.log(trial.updates * self.pace.get(trial.contender, 1.0))
        return Row(
            key="", contender=trial.contender, size=trial.size, corpus=corpus_name(trial.corpus), seed=trial.seed,
            updates=trial.updates, settings=dict(trial.settings), eval_loss=loss, curve=[[trial.updates, loss]],
            tokens_per_update=1, seconds_per_update=1.0, mfu=None, wall_seconds=1.0, device="", environment={},
            code="", finished="",
        )  # fmt: skip


def carry_out(
    benchmark: str,
    investigate: Callable[[Measure], Found],
    report: Callable[[Found], Findings],
    *,
    pace: Mapping[str, float] | None = None,
    hint: str = "",
    dry_run: bool,
    fresh: bool,
) -> Findings | None:
    """Announce all runs of a benchmark, and make those that are not on disk yet.

    Args:
        benchmark: Its name.
        investigate: The benchmark as a function of what measures a trial; it decides by losses what to measure next.
        report: Turns what that returned into tables and pictures.
        pace: As of `Rehearsal`.
        hint: What a reader of the plan should know beside it.
        dry_run: Only announce.
        fresh: Forget the rows of this device first.

    Returns:
        What was found; None of a dry run.

    Raises:
        UserError: A trial's settings are wrong (before any has run), or a run failed.
    """
    from .torch_muon import shelve

    shelve()
    laboratory = Laboratory(benchmark, RowFile(ROWS / f"{benchmark}.jsonl"))
    if fresh and not dry_run:
        laboratory.rows.forget(device_name())
    rehearsal = Rehearsal(pace or {})
    investigate(rehearsal)
    trials = {laboratory.key(trial): trial for trial in rehearsal.trials}
    costs = {key: estimated_seconds(trial, laboratory.rows) for key, trial in trials.items()}
    print(describe_plan(trials, costs, laboratory.rows), *([hint] if hint else []), sep="\n", flush=True)
    if dry_run:
        return None
    found = report(investigate(Progress(laboratory, trials, costs)))
    used = list(laboratory.used.values())
    origin = made_on([row.finished for row in used], [row.environment for row in used])
    return replace(found, remarks=[*found.remarks, *remarks_on(used)], origin=origin)


class Progress:
    """Gives each trial's row, and says of each that must be run how it went and how long the rest will take."""

    def __init__(self, laboratory: Laboratory, planned: Mapping[str, Trial], costs: Mapping[str, float]) -> None:
        self._laboratory = laboratory
        self._open = {key: costs[key] for key in planned if laboratory.rows.get(key) is None}
        self._spent = self._expected = 0.0
        self._count = 0

    def __call__(self, trial: Trial) -> Row:
        return self._laboratory.find(trial) or self._run(trial)

    def _run(self, trial: Trial) -> Row:
        expected = estimated_seconds(trial, self._laboratory.rows)
        started = time.perf_counter()
        row = self._laboratory.run(trial)
        spent = time.perf_counter() - started
        self._open.pop(row.key, None)
        self._count, self._spent, self._expected = self._count + 1, self._spent + spent, self._expected + expected
        left = sum(self._open.values()) * self._spent / self._expected
        print(
            f"[{self._count}/{self._count + len(self._open)}] {trial}: loss {row.eval_loss:.3f} in "
            f"{format_duration(spent)}; about {format_duration(left)} left",
            flush=True,
        )
        return row


def describe_plan(trials: Mapping[str, Trial], costs: Mapping[str, float], rows: KeptRows[Row]) -> str:
    """List the runs by contender, size and corpus with the minutes that they will take; searches may take others."""
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for key, trial in trials.items():
        kinds.setdefault((trial.size, corpus_name(trial.corpus), trial.contender), []).append(key)
    found = {key: rows.get(key) for key in trials}
    missing = {kind: [key for key in keys if found[key] is None] for kind, keys in kinds.items()}
    done = {kind: [row for key in keys if (row := found[key])] for kind, keys in kinds.items()}
    table = [
        [
            *kind,
            len(keys),
            sum(trials[key].updates for key in keys),
            len(done[kind]),
            sum(row.code != code_version() for row in done[kind]),
            round(sum(costs[key] for key in missing[kind]) / 60, 1),
        ]
        for kind, keys in kinds.items()
    ]
    total = sum(costs[key] for keys in missing.values() for key in keys)
    headers = ["size", "corpus", "contender", "runs", "updates", "done", "of_older_code", "minutes"]
    count = sum(map(len, missing.values()))
    return f"{format_table(table, headers)}\n\n{count} runs to make on {device_name()}, about {format_duration(total)}"


def estimated_seconds(trial: Trial, rows: KeptRows[Row]) -> float:
    """Guess what a run takes: from rows of its size and batch, else from its FLOPs at a share of the peak."""
    arguments = trial.parse()
    batch = arguments.strategy.global_batch_size
    alike = [
        row.seconds_per_update
        for row in rows.of_device(device_name())
        if row.size == trial.size and row.settings.get("global_batch_size") == batch
    ]
    if alike:
        return trial.updates * statistics.median(alike) + SECONDS_PER_PROCESS
    hidden_size, num_layers = shape_of(trial.size)
    parameters = 12 * hidden_size**2 * num_layers + (arguments.model.vocab_size or 256) * hidden_size
    seconds = 6 * parameters * _tokens_per_update(arguments) / (REACHED_SHARE * _peak_flops_per_second())
    return trial.updates * max(seconds, MIN_SECONDS_PER_UPDATE) + SECONDS_PER_PROCESS


def _tokens_per_update(arguments: Arguments) -> int:
    block_size = arguments.data.max_seq_length or 512
    if arguments.strategy.global_batch_size is None:
        return 8 * block_size
    batch = parse_batch_size(arguments.strategy.global_batch_size)
    return batch.count if batch.unit == "tokens" else batch.count * block_size


@cache
def _peak_flops_per_second() -> float:
    import torch

    from hf_strategies.distributed.devices import peak_rate
    from hf_strategies.distributed.precision import automatic_precision

    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    bf16, _ = automatic_precision(use_cpu=device.type == "cpu")
    return peak_rate(device, torch.bfloat16 if bf16 else torch.float32).flops_per_second


def remarks_on(rows: Sequence[Finished], code: str | None = None) -> list[str]:
    """Say what about the rows a reader of the tables must know: code older than `code`, other versions."""
    remarks = []
    older = sum(row.code != (code or code_version()) for row in rows)
    if older:
        remarks.append(f"{older} of {len(rows)} runs are of older code; --fresh measures all of them again.")
    names = dict.fromkeys(name for row in rows for name in row.environment)
    versions = [name for name in names if len({row.environment.get(name) for row in rows}) > 1]
    if versions:
        remarks.append(f"The runs differ in: {', '.join(versions)}.")
    return remarks
