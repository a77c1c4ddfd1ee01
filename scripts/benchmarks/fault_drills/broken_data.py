"""Data that bite: records that cannot be read, and a data loader's worker that is killed."""

import json
import os
import random
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from hf_strategies.reports import read_events

from .outcomes import Outcome, difference, steps_logged
from .processes import Runs, command

RECORDS = 1_000
BROKEN = {
    "a line cut short": '{"text": "cut sho',
    "a number for a text": '{"text": 12}',
    "no text": '{"title": "empty"}',
}
WORKERS = 2
UPDATES = 160
SETTINGS: dict[str, Any] = {"max_steps": UPDATES, "dataloader_num_workers": WORKERS}


def write_records(path: Path, *, seed: int | None = None) -> Path:
    """Write a thousand records as JSON lines, and broken ones between them where a seed says so."""
    lines = [json.dumps({"text": f"Record {n}: {n} squared is {n * n}, cubed {n**3}."}) for n in range(RECORDS)]
    if seed is not None:
        draw = random.Random(seed)
        for line in BROKEN.values():
            lines.insert(draw.randrange(len(lines)), line)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def drill_records(runs: Runs, whole: Path, reference: Path, output: Path, *, seed: int) -> Outcome:
    """Train on records some of which are broken.

    Args:
        runs: Starts processes.
        whole: The records without them.
        reference: Folder of a run on those, with the same settings.
        output: Where it runs; removed when it came through.
        seed: Decides where the broken ones stand.
    """
    fault = f"{len(BROKEN)} broken records in {RECORDS:,}, places {seed}"
    records = write_records(whole.with_name(f"broken-{seed}.jsonl"), seed=seed)
    numbers = [n for n, line in enumerate(records.read_text("utf-8").splitlines(), 1) if line in BROKEN.values()]
    run = runs.finish(command(records, output))
    if run.wait():
        return Outcome(fault, f"exit code {run.wait()}: {run.said.strip()[-200:]}")
    missing = [number for number in numbers if f"{records.name}:{number}" not in run.said]
    if missing:
        return Outcome(fault, f"lines {missing} are not listed: {run.said.strip()[-200:]}")
    problem = difference(output, reference)
    if not problem:
        shutil.rmtree(output)
    return Outcome(fault, problem)


def drill_worker(runs: Runs, corpus: Path, reference: Path, output: Path, *, seed: int) -> Outcome:
    """Kill one of a run's data loader workers.

    Args:
        runs: Starts processes.
        corpus: Its text.
        reference: Folder of the same run, undisturbed.
        output: Where it runs; removed when it came through.
        seed: Decides the worker, and the moment.
    """
    draw = random.Random(seed)
    run = runs.start(command(corpus, output, **SETTINGS))
    update = draw.randint(1, UPDATES // 2)
    run.wait_until(lambda: steps_logged(output) >= update)
    done, workers = steps_logged(output), run.children()
    fault = f"a data loader's worker killed at step {done}, seed {seed}"
    if len(workers) < WORKERS:
        return Outcome(fault, f"it has {len(workers)} workers")
    with suppress(ProcessLookupError):  # an epoch may just have ended, and its workers with it
        os.kill(draw.choice(workers), signal.SIGKILL)
    if run.wait():
        return Outcome(fault, f"exit code {run.wait()}: {run.said.strip()[-200:]}")
    if "worker" not in {event["event"] for event in read_events(output / "events.jsonl")}:
        fault += ", which had nothing left to do"
    problem = difference(output, reference)
    if not problem:
        shutil.rmtree(output)
    return Outcome(fault, problem)
