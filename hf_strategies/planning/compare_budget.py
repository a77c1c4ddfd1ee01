"""The length of every run of a comparison: as many tokens as the first setting's, or as many seconds."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_strategies.arguments import Arguments, parse_arguments
from hf_strategies.errors import UserError
from hf_strategies.planning.compare_request import CompareRequest
from hf_strategies.planning.options import DEFAULT_RECIPE
from hf_strategies.planning.speed_trial import time_run
from hf_strategies.planning.sweep_request import SweepRequest
from hf_strategies.planning.sweep_space import SettingValues
from hf_strategies.planning.time_request import TimeOptions
from hf_strategies.planning.trials import trial_name
from hf_strategies.reports import format_duration
from hf_strategies.runs.language_model import resolve_block_size
from hf_strategies.runs.process import settle_batch

LENGTH = "max_steps"
TIMES = "seconds.json"
ROUNDS = 2  # of trials, one setting after the other: what else the machine does meets none of them alone
WARM, TIMED = 2, 8  # updates of a trial


def equal_budget(request: CompareRequest, folder: Path) -> SweepRequest:
    """Give every setting the length that spends the budget; one that is as long as the first keeps its own words.

    Args:
        request: A checked one.
        folder: Of the comparison, which keeps what was measured: it goes on with the same lengths.

    Raises:
        UserError: A setting would take no update at all, or lengths in epochs cannot be made equal.
    """
    sweep = request.sweep
    jobs = [_job(sweep, values) for values in sweep.settings]
    if request.budget == "tokens":
        costs = [float(tokens_per_update(job)) for job in jobs]
    else:
        costs = _measured(sweep.settings, jobs, folder / TIMES)
    lengths = equal_lengths(costs, sweep.base.training.get(LENGTH, -1), request.budget)
    settings = [
        values if length == lengths[0] else {**values, LENGTH: str(length)}
        for values, length in zip(sweep.settings, lengths)
    ]
    return replace(sweep, settings=tuple(settings))


def equal_lengths(costs: Sequence[float], length: int, unit: str) -> list[int]:
    """Return the updates of each setting that cost as much as the first setting's run.

    Args:
        costs: Of an update of each setting, in `unit`.
        length: Updates of the first setting; below 1 where the run is given in epochs.
        unit: "tokens" or "seconds".

    Raises:
        UserError: There are none, or a length in epochs would have to be another.
    """
    if len(set(costs)) == 1:
        return [length] * len(costs)
    if length < 1:
        raise UserError(f"--budget {unit}: updates of the settings differ in {unit}: give the first's max_steps")
    lengths = [int(length * costs[0] / cost + 0.5) for cost in costs]
    if 0 in lengths:
        raise UserError(
            f"--budget {unit}: the first setting's {length * costs[0]:,.0f} are less than one update of another: "
            "raise max_steps"
        )
    return lengths


def tokens_per_update(arguments: Arguments) -> int:
    """Count the tokens of an update, on one device."""
    block = resolve_block_size(arguments.model, arguments.data.max_seq_length, objective=arguments.strategy.objective)
    rows, micro_batches = settle_batch(arguments, max_seq_length=block, replicas=1)
    return rows * micro_batches * block


def _job(sweep: SweepRequest, values: SettingValues) -> Arguments:
    return parse_arguments(sweep.trial_argv(values, sweep.seeds[0]), description="", default_recipe=DEFAULT_RECIPE)


def _measured(settings: Sequence[SettingValues], jobs: Sequence[Arguments], path: Path) -> list[float]:
    """Time updates of every setting, the fastest trial of each; what an earlier process has timed stays."""
    known: dict[str, float] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    names = [trial_name(values, None) for values in settings]
    fresh = [(name, job) for name, job in zip(names, jobs) if name not in known]
    shortest = min(job.training.get(LENGTH, -1) for job in jobs)
    options: dict[str, Any] = {"updates": min(TIMED, shortest // 2), "warm_updates": min(WARM, shortest // 4)}
    found: dict[str, list[float]] = {name: [] for name, _ in fresh}
    for _ in range(ROUNDS):
        for name, job in fresh:
            found[name].append(time_run(job, TimeOptions(**options)).seconds)
    for name, seconds in found.items():
        known[name] = min(seconds)
        print(f"speed     {format_duration(known[name])} an update: {name}", flush=True)
    path.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return [known[name] for name in names]
