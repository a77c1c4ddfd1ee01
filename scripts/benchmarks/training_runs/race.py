"""One race: contenders on one model, one corpus and one order of data, and how far each must run to reach a loss."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .contenders import adamw, shipped, stock, torch_muon
from .measure import Measure
from .rows import Row
from .search import first_that, horizons, length_reaching
from .trial import Trial

BETA2 = (0.95, 0.99)


@dataclass(frozen=True)
class Reach:
    """How long a contender must run for a loss, its schedule ending there.

    Args:
        updates: Interpolated between the shortest run that reached it and the next shorter one; infinite where the
            longest run did not.
        shortest: The shortest run that reached it.
        is_bound: True where no shorter run's loss was there to interpolate with: the way may be shorter.
    """

    updates: float
    shortest: Row | None
    is_bound: bool = False


@dataclass(frozen=True)
class Race:
    """What one race came to.

    Args:
        size, corpus, updates: Of its full runs.
        sweeps: Contender to rate to full run, seed 0.
        finals: Contender to its full runs at its best settings, one per seed.
        to_adamw: Contender to its way to the loss that tuned AdamW ends at with the same seed, one per seed.
        to_stock: Our way to the loss that the stock recipe ends at, one per seed.
    """

    size: str
    corpus: str
    updates: int
    sweeps: Mapping[str, Mapping[float, Row]]
    finals: Mapping[str, Sequence[Row]]
    to_adamw: Mapping[str, Sequence[Reach]]
    to_stock: Sequence[Reach]

    def seconds_per_update(self, contender: str) -> float:
        """Median over a contender's full runs: what else the machine did meets one of them at a time."""
        return statistics.median(row.seconds_per_update for row in self.finals[contender])

    def seconds(self, contender: str) -> list[float]:
        """Time of a contender's way to AdamW's loss, one value per seed."""
        return [reach.updates * self.seconds_per_update(contender) for reach in self.to_adamw[contender]]

    @property
    def adamw_seconds(self) -> float:
        """Time of AdamW's own way there, its full run."""
        return self.updates * self.seconds_per_update("adamw")


def race(
    measure: Measure, trial: Callable[..., Trial], *, updates: int, num_seeds: int, rates: Sequence[float]
) -> Race:
    """Sweep the peers, then run everyone at its best settings, and ours and torch's Muon over shorter lengths.

    Args:
        measure: Gives a trial's row.
        trial: Makes a trial of contender, settings, seed and updates.
        updates: Of a full run.
        num_seeds: Seeds of the full runs and of the searches; initialisation and data order are the same for all
            contenders of a seed.
        rates: Learning rates of both sweeps.
    """

    def run(contender: str, settings: Mapping[str, Any], seed: int = 0, length: int = updates) -> Row:
        return measure(trial(contender=contender, settings=settings, seed=seed, updates=length))

    sweeps = {
        "adamw": {rate: run("adamw", adamw(rate)) for rate in rates},
        "torch_muon": {rate: run("torch_muon", torch_muon(rate)) for rate in rates},
    }
    best = {name: min(runs, key=lambda rate: runs[rate].comparable_loss) for name, runs in sweeps.items()}
    beta2 = min(BETA2, key=lambda value: run("adamw", adamw(best["adamw"], value)).comparable_loss)
    finalists = {
        "stock": stock(),
        "adamw": adamw(best["adamw"], beta2),
        "torch_muon": torch_muon(best["torch_muon"]),
        "ours": shipped(),
    }
    by_seed = [{name: run(name, given, seed) for name, given in finalists.items()} for seed in range(num_seeds)]
    finals = {name: [runs[name] for runs in by_seed] for name in finalists}

    def ways(contender: str, aim: str) -> list[Reach]:
        found: list[Reach] = []
        for seed, goal in enumerate(finals[aim]):
            run_for = partial(run, contender, finalists[contender], seed)
            found.append(way_to(goal.eval_loss, run_for, horizons(updates), found[-1] if found else None))
        return found

    return Race(
        size=finals["ours"][0].size,
        corpus=finals["ours"][0].corpus,
        updates=updates,
        sweeps=sweeps,
        finals=finals,
        to_adamw={name: ways(name, "adamw") for name in ("ours", "torch_muon")},
        to_stock=ways("ours", "stock"),
    )


def way_to(target: float, run_for: Callable[[int], Row], lengths: Sequence[int], guess: Reach | None) -> Reach:
    """Find how long a contender must run for a loss.

    Args:
        target: The loss.
        run_for: Gives the row of a run of so many updates.
        lengths: The lengths to choose from, rising.
        guess: Another seed's way, near which to look first.
    """
    near = lengths.index(guess.shortest.updates) if guess and guess.shortest else None
    index = first_that(lambda i: run_for(lengths[i]).eval_loss <= target, len(lengths), near)
    if index is None:
        return Reach(math.inf, None)
    shortest = run_for(lengths[index])
    below = run_for(lengths[index - 1]) if index else None
    if below is None or not math.isfinite(below.eval_loss):
        return Reach(shortest.updates, shortest, is_bound=True)
    ends = [(run.updates, run.eval_loss) for run in (below, shortest)]
    return Reach(length_reaching(target, *ends), shortest)
