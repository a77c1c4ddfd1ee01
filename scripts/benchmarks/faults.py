"""Faults done to real runs, many times: killed, damaged, signalled, poisoned, out of disk, and made by an enemy.

Every run is a process of scripts/pretrain.py on a tiny model; a fault is a real signal, a real file or a real limit of
the operating system. A run that is resumed is compared with one that nothing happened to, to the last bit of its
weights and line by line of its log. What is done is decided by a seed; a drill that is on disk is not done again.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import Findings, Table, require_at_least

if TYPE_CHECKING:
    from .fault_drills.outcomes import Outcome
    from .fault_drills.processes import Runs

Drill = Callable[[Path], "Outcome"]  # in a folder of its own

ROWS = Path(__file__).parent / "rows" / "faults.jsonl"

# What a plain Trainer does, as measured on transformers 5.23.
STOCK = {
    "killed": "torn folder, crash on resume",
    "damaged checkpoint": "5 of 10 crash, 5 pass silently",
    "signal": "lost, or hung with 2 ranks",
    "bad numbers": "NaN weights, exit code 0",
    "clean run": "",
    "full disk": "crash",
    "broken records": "crash",
    "killed worker": "crash",
    "mutated settings": "stack traces",
    "hostile folder": "loaded",
}


def run(
    *,
    kills: int = 200,
    signals: int = 100,
    seeds: int = 3,
    clean_seeds: int = 5,
    broken: int = 5,
    mutants: int = 500,
    fresh: bool = False,
) -> Findings:
    """Do all drills.

    Args:
        kills: Runs that are killed, every other one while it saves.
        signals: Runs that are signalled, every other one with two ranks.
        seeds: Runs of every kind of bad numbers.
        clean_seeds: Undisturbed runs in which the guard must not stir.
        broken: Runs on broken records, and as many whose data loader loses a worker.
        mutants: Mutated YAML files and flags.
        fresh: Forget what was done before.
    """
    counts = {"kills": kills, "signals": signals, "seeds": seeds, "clean_seeds": clean_seeds}
    counts |= {"broken": broken, "mutants": mutants}
    require_at_least(1, **counts)
    from .fault_drills.log import DrillLog
    from .fault_drills.processes import Runs, command, write_corpus

    log = DrillLog(ROWS, fresh=fresh)
    with tempfile.TemporaryDirectory(prefix="faults-") as made, Runs(Path(made)) as runs:
        folder = Path(made)
        corpus = write_corpus(folder / "corpus.txt")
        started = time.perf_counter()
        first = runs.finish(command(corpus, folder / "reference"))
        assert first.wait() == 0, first.said
        clocked = time.perf_counter()
        assert runs.finish(command(corpus, folder / "again")).wait() == 0
        seconds = time.perf_counter() - clocked
        print(f"an undisturbed run takes {seconds:.1f} s ({clocked - started:.1f} s the first time)", flush=True)
        planned = list(_plan(runs, corpus, folder, seconds, counts))
        for number, (kind, key, drill) in enumerate(planned, start=1):
            outcome = log.get(key) or log.add(kind, key, attempt(drill, folder / key.replace(" ", "-")))
            if outcome.problem or number % 10 == 0:
                print(
                    f"[{number}/{len(planned)}] {kind}: {outcome.fault}: {outcome.problem or 'came through'}",
                    flush=True,
                )
    return Findings([Table(rows_of(log.of([key for _, key, _ in planned])))], remarks=remarks_of(log, planned))


def _plan(
    runs: "Runs",
    corpus: Path,
    folder: Path,
    seconds: float,
    counts: dict[str, int],
) -> Iterator[tuple[str, str, Drill]]:
    """Yield every drill with its kind and a key that names it."""
    from pretrain import main

    from .fault_drills import broken_data, damage, disk, hostile, kills, numbers, sabotage, settings, signals
    from .fault_drills.outcomes import Outcome
    from .fault_drills.processes import command

    source = numbers.write_source(folder / "source.txt")
    reference = folder / "reference"
    place = (runs, corpus, reference)

    def reference_of(name: str, ranks: int = 1, of: Path = corpus, **given: Any) -> Path:
        """Make an undisturbed run the first time it is asked for."""
        output = folder / name
        if not output.exists():
            argv = command(of, output, ranks=ranks, **given)
            codes = [member.wait() for member in signals.start_ranks(runs, argv, ranks)]
            assert not any(codes), codes
        return output

    def signalled(output: Path, seed: int, ranks: int) -> Outcome:
        undisturbed = reference_of(f"reference-{ranks}", ranks)
        return signals.drill(runs, corpus, undisturbed, output, seed=seed, ranks=ranks, seconds=seconds)

    def spoilt(output: Path, kind: str, seed: int) -> Outcome:
        undisturbed = reference_of(f"reference-seed-{seed}", of=source, seed=seed, **numbers.SETTINGS)
        return numbers.drill(runs, source, undisturbed, output, kind=kind, seed=seed)

    def broken_records(output: Path, seed: int) -> Outcome:
        whole = broken_data.write_records(folder / "records.jsonl")
        undisturbed = reference_of("reference-records", of=whole)
        return broken_data.drill_records(runs, whole, undisturbed, output, seed=seed)

    def killed_worker(output: Path, seed: int) -> Outcome:
        undisturbed = reference_of("reference-workers", **broken_data.SETTINGS)
        return broken_data.drill_worker(runs, corpus, undisturbed, output, seed=seed)

    def out_of_space(output: Path, drill: Any, for_good: bool) -> Outcome:
        undisturbed = reference_of("reference-long", max_steps=disk.UPDATES)
        return drill(runs, corpus, undisturbed, output, for_good=for_good)

    for seed in range(counts["kills"]):
        during_save = seed % 2 == 1
        killed = partial(kills.drill, *place, seed=seed, during_save=during_save, seconds=seconds)
        yield "killed", f"kill {seed}", killed
    for kind in damage.DAMAGES:
        yield "damaged checkpoint", kind, partial(damage.drill, *place, damage=kind)
    for seed in range(counts["signals"]):
        yield "signal", f"signal {seed}", partial(signalled, seed=seed, ranks=1 + seed % 2)
    for seed in range(counts["clean_seeds"]):
        yield "clean run", f"clean {seed}", partial(numbers.clean, runs, source, seed=seed)
    for kind in sabotage.KINDS:
        for seed in range(counts["seeds"]):
            yield "bad numbers", f"{kind} {seed}", partial(spoilt, kind=kind, seed=seed)
    drills = {"limit": disk.drill_limit, **({"disk": disk.drill_full} if disk.can_mount() else {})}
    for name, drill in drills.items():
        for for_good in (False, True):
            yield "full disk", f"{name} {for_good}", partial(out_of_space, drill=drill, for_good=for_good)
    for seed in range(counts["broken"]):
        yield "broken records", f"records {seed}", partial(broken_records, seed=seed)
        yield "killed worker", f"worker {seed}", partial(killed_worker, seed=seed)
    for seed in range(counts["mutants"]):
        yield "mutated settings", f"mutant {seed}", partial(settings.drill, main, seed=seed)
    for kind in hostile.HOSTILE:
        yield "hostile folder", kind, partial(hostile.drill, runs, corpus, reference / "checkpoint-12", kind=kind)


def attempt(drill: Drill, output: Path) -> "Outcome":
    """Do one drill; one that cannot be done is a failure, and the next ones are done all the same."""
    from .fault_drills.outcomes import Outcome

    try:
        return drill(output)
    except Exception as error:
        return Outcome(output.name, f"{type(error).__name__}: {error}")


def rows_of(outcomes: dict[str, list["Outcome"]]) -> list[dict[str, Any]]:
    """One row per kind of fault: how many came through, beside what a plain Trainer does."""
    return [
        {
            "fault": kind,
            "plain Trainer": STOCK[kind],
            "came through": f"{sum(not outcome.problem for outcome in found)} of {len(found)}",
        }
        for kind, found in outcomes.items()
    ]


def remarks_of(log: Any, planned: list[tuple[str, str, Drill]]) -> list[str]:
    """Name every drill that failed."""
    found = [(kind, log.get(key)) for kind, key, _ in planned]
    return [f"{kind}, {outcome.fault}: {outcome.problem}" for kind, outcome in found if outcome.problem] or [
        "None of them failed."
    ]
