"""How much loss a wrong learning rate costs: nine rates over two decades, around the shipped one and around AdamW's.

Both contenders train the same model on the same data in the same order. ours is the shipped recipe with all its rates
times a factor from a tenth to ten; adamw is AdamW at a tenth to ten times its best rate (warmup over 5% of the run,
cosine to zero, beta2 0.95, decay 0.1, clipping at 1). The figure is the mean over the nine rates of the loss above the
contender's own best, each rate's loss the mean of its seeds; a run that diverged, or that ended above the loss of
guessing all tokens alike, counts with that loss.
"""

import math
import statistics
from typing import Any

from . import Findings, Table, require_at_least
from .training_runs.contenders import adamw, shipped, shipped_recipe
from .training_runs.goals import Goal, excess_over_best
from .training_runs.measure import Measure
from .training_runs.pictures import draw_losses, picture_path
from .training_runs.plan import carry_out
from .training_runs.rows import Row
from .training_runs.trial import EMBEDDED, Trial

# Contender to factor to one run per seed.
Runs = dict[str, dict[float, list[Row]]]


def run(
    *,
    size: str = "1M",
    corpus: str = EMBEDDED,
    updates: int = 300,
    seeds: int = 2,
    num_rates: int = 9,
    adamw_rate: float = 2e-3,
    eval_samples: int = 192,
    dry_run: bool = False,
    fresh: bool = False,
) -> Findings | None:
    """Train both at every rate.

    Args:
        size: Model: 1M, 5M, or hidden size and layers such as 256x5.
        corpus: Text: standard_library, or a file, folder or glob.
        updates: Length of every run.
        seeds: Seeds of every rate.
        num_rates: Rates over the two decades, evenly spaced in their logarithm.
        adamw_rate: The middle of AdamW's: its best rate, as the speedrun finds it.
        eval_samples: Held-out blocks of each evaluation.
        dry_run: Only say what would be run, and how long that takes.
        fresh: Forget what was measured on this device before.
    """
    require_at_least(1, updates=updates, seeds=seeds, eval_samples=eval_samples)
    require_at_least(2, num_rates=num_rates)
    factors = spread(num_rates)
    settings = {
        "ours": {factor: shipped(factor) for factor in factors},
        "adamw": {factor: adamw(factor * adamw_rate) for factor in factors},
    }

    def investigate(measure: Measure) -> Runs:
        place: dict[str, Any] = {"size": size, "corpus": corpus, "updates": updates, "eval_samples": eval_samples}
        return {
            name: {
                factor: [
                    measure(Trial(contender=name, **place, eval_every=updates, seed=seed, settings=given))
                    for seed in range(seeds)
                ]
                for factor, given in by_factor.items()
            }
            for name, by_factor in settings.items()
        }

    def report(runs: Runs) -> Findings:
        middle = {"ours": shipped_recipe().training["learning_rate"], "adamw": adamw_rate}
        means = mean_losses(runs, untrained=math.log(shipped_recipe().model.vocab_size or 256))
        picture = picture_path("lr_sensitivity")
        draw_losses(
            means,
            picture,
            title=f"Loss by learning rate, {size}, {updates} updates",
            xlabel="learning rate, as a multiple of the shipped one or of AdamW's best",
            ticks=".3g",
        )
        rows = [
            {"learning_rate": f"{factor:.3g}x"}
            | {f"{name}, x {middle[name]:g}": round(means[name][factor], 3) for name in means}
            for factor in factors
        ]
        by_rate = Table(rows, f"evaluation loss by learning rate, mean of {seeds} seeds")
        goal, contenders = compare(runs, means)
        pictures = [(picture, "Loss by learning rate")]
        return Findings([Table([goal.row()]), Table(contenders), by_rate], pictures, remarks_on_extremes(means))

    return carry_out("lr_sensitivity", investigate, report, dry_run=dry_run, fresh=fresh)


def spread(count: int) -> list[float]:
    """List factors from a tenth to ten, evenly spaced in their logarithm."""
    return [10 ** (2 * index / (count - 1) - 1) for index in range(count)]


def mean_losses(runs: Runs, *, untrained: float) -> dict[str, dict[float, float]]:
    """Mean loss of the seeds, by contender and factor; none is taken for worse than `untrained`."""
    return {
        name: {
            factor: statistics.fmean(min(row.comparable_loss, untrained) for row in rows)
            for factor, rows in by_factor.items()
        }
        for name, by_factor in runs.items()
    }


def remarks_on_extremes(means: dict[str, dict[float, float]]) -> list[str]:
    """Say where the worst of ours still beats the best of AdamW's."""
    worst, best = max(means["ours"].values()), min(means["adamw"].values())
    return [f"ours at the worst of these rates, {worst:.3f}, is below adamw at its best, {best:.3f}."] * (worst < best)


def compare(runs: Runs, means: dict[str, dict[float, float]]) -> tuple[Goal, list[dict[str, Any]]]:
    """Our mean loss above the best as a share of AdamW's, and both contenders' own numbers."""
    excess = {name: excess_over_best(list(losses.values())) for name, losses in means.items()}
    rows = [
        {
            "contender": name,
            "mean_above_best": round(excess[name], 3),
            "best": round(min(losses.values()), 3),
            "diverged_runs": sum(not math.isfinite(row.eval_loss) for rows in runs[name].values() for row in rows),
        }
        for name, losses in means.items()
    ]
    ours, theirs = excess["ours"], excess["adamw"]
    share = ours / theirs if theirs else math.inf if ours else 0.0  # no rate was worse than another
    return Goal("mean loss above best / adamw's", 0.5, [share]), rows
