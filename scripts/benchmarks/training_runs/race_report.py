"""What a race's rows say: tables, goals and the remarks that belong to them."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from .. import Table
from .goals import Goal, range_of
from .race import Race

ONE_CORPUS = "One corpus only; add a second: --corpora standard_library PATH."


def tables_of(race: Race) -> list[Table]:
    """The tables of one race: final losses, the way to AdamW's loss, the sweeps."""
    where = f"{race.size}, {race.corpus}"
    return [
        Table(
            final_rows(race), f"{where}: evaluation loss after {race.updates} updates, mean and extremes of the seeds"
        ),
        Table(reach_rows(race), f"{where}: to the loss that tuned AdamW ends at"),
        Table(sweep_rows(race), f"{where}: loss by learning rate, seed 0"),
    ]


def final_rows(race: Race) -> list[dict[str, Any]]:
    """One row per contender at its best settings."""
    rows = []
    for name, runs in race.finals.items():
        losses = [run.eval_loss for run in runs]
        seconds = race.seconds_per_update(name)
        mfu = {"mfu": round(runs[0].mfu, 3)} if runs[0].mfu is not None else {}
        rows.append(
            {
                "contender": name,
                "settings": _best_settings(runs[0].settings),
                "loss": round(statistics.fmean(losses), 3),
                "range": range_of(losses),
                "ms_per_update": round(1e3 * seconds, 1),
                "tokens_per_s": round(runs[0].tokens_per_update / seconds),
                **mfu,
                "wall_s": round(statistics.fmean(run.wall_seconds for run in runs)),
            }
        )
    return rows


def reach_rows(race: Race) -> list[dict[str, Any]]:
    """Updates and seconds to tuned AdamW's final loss, also as shares of AdamW's own."""
    rows: list[dict[str, Any]] = [
        {
            "contender": "adamw",
            "updates": race.updates,
            "updates_range": "",
            "updates_share": 1.0,
            "seconds": round(race.adamw_seconds, 1),
            "seconds_share": 1.0,
        }
    ]
    for name, reaches in race.to_adamw.items():
        updates = [reach.updates for reach in reaches]
        mean = statistics.fmean(updates)
        if math.isinf(mean):
            rows.append({"contender": name, "updates": f"not within {race.updates}"})
            continue
        seconds = statistics.fmean(race.seconds(name))
        rows.append(
            {
                "contender": name,
                "updates": round(mean, 1),
                "updates_range": range_of(updates, digits=1),
                "updates_share": round(mean / race.updates, 3),
                "seconds": round(seconds, 1),
                "seconds_share": round(seconds / race.adamw_seconds, 3),
            }
        )
    return rows


def sweep_rows(race: Race) -> list[dict[str, Any]]:
    """One row per swept contender, one column per rate."""
    return [
        {"contender": name, **{f"{rate:g}": round(run.eval_loss, 3) for rate, run in runs.items()}}
        for name, runs in race.sweeps.items()
    ]


def goals_of(race: Race) -> list[Goal]:
    """The aims of the shipped recipe, one value per seed.

    Where torch_muon did not get to the loss, it counts as there after its full run, which is more than it earned.
    """
    ours, full = race.to_adamw["ours"], race.updates
    muon = [min(reach.updates, full) for reach in race.to_adamw["torch_muon"]]
    share = [reach.updates / full for reach in ours]
    seconds = [each / race.adamw_seconds for each in race.seconds("ours")]
    return [
        Goal("to adamw's loss: updates / adamw's", 1 / 3, share),
        Goal("to adamw's loss: seconds / adamw's", 0.4, seconds),
        Goal("to adamw's loss: updates / muon's", 0.8, [one.updates / other for one, other in zip(ours, muon)]),
        Goal("to stock's loss: updates / stock's", 1 / 20, [reach.updates / full for reach in race.to_stock]),
    ]


def goal_table(races: Sequence[Race]) -> Table:
    rows = [{"size": race.size, "corpus": race.corpus, **goal.row()} for race in races for goal in goals_of(race)]
    return Table(rows, "goals of the shipped recipe; the mean of the seeds decides")


def remarks_of(races: Sequence[Race]) -> list[str]:
    """Say where a number is a bound rather than a measurement."""
    remarks = []
    for race in races:
        where = f"{race.size}, {race.corpus}"
        if any(math.isinf(reach.updates) for reach in race.to_adamw["torch_muon"]):
            remarks.append(
                f"{where}: torch_muon did not get to adamw's loss; it counts as there after {race.updates}."
            )
        ways = {(name, "adamw"): reaches for name, reaches in race.to_adamw.items()}
        for (name, aim), reaches in {**ways, ("ours", "stock"): race.to_stock}.items():
            lengths = sorted({reach.shortest.updates for reach in reaches if reach.is_bound and reach.shortest})
            if lengths:
                remarks.append(
                    f"{where}: {name} got to {aim}'s loss in its shortest run already, of "
                    f"{' or '.join(map(str, lengths))} updates: its way there is an upper bound."
                )
        for name, runs in race.sweeps.items():
            best = min(runs, key=lambda rate: runs[rate].comparable_loss)
            if len(runs) > 1 and best in (min(runs), max(runs)):
                remarks.append(f"{where}: {name}'s best rate, {best:g}, is at the edge of its sweep.")
    if len({race.corpus for race in races}) == 1:
        remarks.append(ONE_CORPUS)
    return remarks


def _best_settings(settings: dict[str, Any]) -> str:
    """Name the rate, and beta2 where it was chosen."""
    betas = (settings.get("optimizer_kwargs") or {}).get("betas")
    return f"lr {settings['learning_rate']:g}" + (f", beta2 {betas[1]:g}" if betas else "")
