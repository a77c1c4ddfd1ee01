"""A sweep: every trial a process of its own; a killed one goes on where it was, and a bad one harms no other."""

import json
import math
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hf_strategies.distributed.ranks import available_cores, world_size
from hf_strategies.errors import UserError
from hf_strategies.planning.sweep_folder import TRIALS, locked, open_sweep_folder
from hf_strategies.planning.sweep_report import report_sweep
from hf_strategies.planning.sweep_request import SweepRequest
from hf_strategies.planning.sweep_results import measure_of, result_row
from hf_strategies.planning.sweep_search import ListedSearch, OptunaSearch, Search, is_never_judged
from hf_strategies.planning.trials import Outcome, Trial, TrialProcess, read_course, read_outcome, trial_name
from hf_strategies.reports import format_duration, format_number
from hf_strategies.runs.process import THREADS

ROWS, JOURNAL = "results.jsonl", "optuna.journal"
POLL_SECONDS = 0.5
GRACE_SECONDS = 15.0  # for a process that was asked to end

Environment = Mapping[str, str]


def sweep(request: SweepRequest, scripts: Path) -> None:
    """Try what is left to try, then show what was found.

    Args:
        request: A checked one.
        scripts: Folder of the jobs' scripts.

    Raises:
        UserError: The folder holds something else, or no trial came to its end.
        SystemExit: A signal ended it (128 + its number); no process is left, and the same command goes on.
    """
    with open_for_trials(request) as (folder, places, lock):
        if request.options.search == "optuna" and is_never_judged(request.base.training):
            print("warning   no evaluation between a quarter of the run and its end: optuna will stop no trial early")
        tried = Sweep(request, folder, scripts, places, lock).run()
        report_sweep(request, tried, folder)


@contextmanager
def open_for_trials(request: SweepRequest) -> Iterator[tuple[Path, list[Environment], int]]:
    """Open a request's folder and hold its lock; a signal ends what is done there in good order.

    Yields:
        The folder, the environment of each trial that runs beside others, and the lock's descriptor.

    Raises:
        UserError: The folder holds something else, or this process is one of several.
        SystemExit: A signal ended it (128 + its number).
    """
    if world_size() > 1:
        raise UserError(
            f"{request.kind}.py starts its own processes: run it with python, not with a launcher of several"
        )
    places = working_places(request)
    with signals_as_exit():
        folder = open_sweep_folder(request)
        print(f"{request.kind:<9} {folder}, {len(places)} at a time", flush=True)
        for note in request.notes:
            print(f"note      {note}", flush=True)
        try:
            with locked(folder) as lock:
                yield folder, places, lock
        except SystemExit:
            print(f"\nstopped; the same command with --output_dir {shlex.quote(str(folder))} goes on", flush=True)
            raise


class Sweep:
    """Work through a request, as many trials at a time as there are places.

    Args:
        request: What to try.
        folder: The sweep's folder; its lock is held.
        scripts: Folder of the jobs' scripts.
        places: Environment of each trial that runs beside others.
        lock: Descriptor of the folder's lock.
    """

    def __init__(
        self, request: SweepRequest, folder: Path, scripts: Path, places: list[Environment], lock: int
    ) -> None:
        self.request, self.folder, self.lock = request, folder, lock
        self.script = scripts / "pretrain.py"
        self.measure = measure_of([axis.name for axis in request.axes])
        self.search = create_search(request, folder)
        self.places = places
        self.running: list[tuple[TrialProcess, Environment]] = []
        self.tried: list[tuple[Trial, Outcome]] = []
        self.rows = read_rows(folder / ROWS)  # of an earlier process: each stands until its trial comes up again

    def run(self) -> list[tuple[Trial, Outcome]]:
        """Try everything; whatever ends it early leaves no process behind."""
        try:
            self._start_trials()
            while self.running:
                time.sleep(POLL_SECONDS)
                self._look()
                self._start_trials()
        finally:
            for process, _ in self.running:
                process.ask_to_end()
            for process, _ in self.running:
                process.end(grace=GRACE_SECONDS)
        return self.tried

    def _start_trials(self) -> None:
        """Fill the free places, passing over what an earlier process has tried; what failed is tried again."""
        while self.places and (asked := self.search.ask()) is not None:
            values, seed = asked
            trial = Trial(values, seed, self.folder / TRIALS / trial_name(values, seed))
            outcome = read_outcome(trial.folder)
            if outcome is not None and outcome.status != "failed":
                self._record(trial, outcome)
                continue
            words = self.request.trial_argv(values, seed)
            command = [sys.executable, str(self.script), *words, f"--output_dir={trial.folder}"]
            place = self.places.pop()
            print(f"start     {trial.folder.name}", flush=True)
            self.running.append((TrialProcess(trial, command, place, [self.lock]), place))

    def _look(self) -> None:
        """Take in what has ended, and end what need not go on."""
        for running in list(self.running):
            process, place = running
            outcome = process.poll() or self._give_up(process)
            if outcome is not None:
                self.running.remove(running)
                self.places.append(place)
                self._record(process.trial, outcome)

    def _give_up(self, process: TrialProcess) -> Outcome | None:
        """End a trial that has diverged, or that the search finds hopeless."""
        course = read_course(process.trial.folder)
        if course.is_trained:
            return None
        seen = [(event["step"] / course.length, event[self.measure]) for event in course.evaluations]
        if course.diverged_at is not None:
            outcome = Outcome("diverged", f"loss not finite at update {course.diverged_at}")
        elif self.search.is_hopeless(process.trial.values, seen):
            last = course.evaluations[-1]
            reason = f"{self.measure} {format_number(last[self.measure])} at update {last['step']} of {course.length}"
            outcome = Outcome("stopped", reason)
        else:
            return None
        return process.give_up(outcome, grace=GRACE_SECONDS)

    def _record(self, trial: Trial, outcome: Outcome) -> None:
        """Tell the search, the table on disk and the reader what came of a trial."""
        self.tried.append((trial, outcome))
        if outcome.status != "failed":
            loss = None if outcome.status == "stopped" else outcome.results.get(self.measure, math.inf)
            self.search.tell(trial.values, loss)
        self.rows[trial.folder.name] = result_row(trial, outcome)
        written = self.folder / f".{ROWS}.tmp"
        written.write_text("".join(json.dumps(row) + "\n" for row in self.rows.values()), encoding="utf-8")
        written.replace(self.folder / ROWS)
        print(self._progress(trial, outcome), flush=True)

    def _progress(self, trial: Trial, outcome: Outcome) -> str:
        came_to = f"{outcome.status}: {outcome.reason}"
        if outcome.status == "finished":
            came_to = f"{self.measure} {format_number(outcome.results[self.measure])}"
            if "train_runtime" in outcome.results:
                came_to += f"  {format_duration(outcome.results['train_runtime'])}"
        others = ", ".join(process.trial.folder.name for process, _ in self.running)
        beside = f"  (running: {others})" if others else ""
        return f"{len(self.tried):>4}/{self.search.total:<4} {trial.folder.name}  {came_to}{beside}"


def read_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Read the table of an earlier process, by trial; empty where there is none."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {row["trial"]: row for row in map(json.loads, lines)}


def create_search(request: SweepRequest, folder: Path) -> Search:
    """Build what the request's `search` asks for."""
    if request.options.search == "optuna":
        assert request.options.trials is not None
        return OptunaSearch(request.axes, request.options.trials, request.seeds[0], folder / JOURNAL)
    return ListedSearch(request.settings, request.seeds)


def working_places(request: SweepRequest) -> list[Environment]:
    """Return the environment of each trial that may run beside others: one per GPU, or a share of the cores each."""
    parallel = request.options.parallel
    if torch.cuda.is_available() and not request.base.training.get("use_cpu"):
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        devices = named.split(",") if named else [str(index) for index in range(torch.cuda.device_count())]
        return [{"CUDA_VISIBLE_DEVICES": devices[n % len(devices)]} for n in range(parallel or len(devices))]
    if parallel is None or parallel == 1 or THREADS in os.environ:
        return [{} for _ in range(parallel or 1)]
    return [{THREADS: str(max(1, available_cores() // parallel))} for _ in range(parallel)]


@contextmanager
def signals_as_exit() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP end a sweep with time to end its processes; further signals do not shorten it."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def leave(number: int, _: object) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
