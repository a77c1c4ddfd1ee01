"""How many updates and seconds the shipped recipe needs for the loss that a tuned AdamW ends at.

One model, one order of data and the same tokens for everyone in a race; a race per size and corpus. Contenders:

- stock: Trainer's defaults: AdamW at 5e-5, betas 0.9 and 0.999, linear to zero, no warmup, no decay, clipping at 1.
- adamw: at the best rate of its own sweep, with beta2 0.95 or 0.99, whichever is better; warmup over 5% of the run,
  the host's cosine, which ends at zero, decay 0.1, clipping at 1.
- torch_muon: torch.optim.Muon, its updates scaled to AdamW's size, with torch.optim.AdamW for embeddings, head and
  norms; one rate for both from a sweep of its own; schedule, decay and clipping of the shipped recipe.
- ours: the shipped recipe. It is not swept here.

A schedule ends where its run ends, so the way to a loss is measured by shorter runs: ten lengths to the decade, the
shortest that reaches it found by bisection, and the crossing interpolated between it and the next shorter one. A seed
decides initialisation and data order, alike for all. Seconds are updates times the median time of one, optimizer
included, evaluation and start-up left out; wall_seconds is the whole process.
"""

from collections.abc import Mapping
from typing import Any

from . import Findings, require_at_least
from .training_runs.measure import Measure
from .training_runs.pictures import draw_races, picture_path
from .training_runs.plan import carry_out
from .training_runs.race import Race, race
from .training_runs.race_report import ONE_CORPUS, goal_table, remarks_of, tables_of
from .training_runs.trial import EMBEDDED, Trial

# Guessed learning per update, for the plan alone: it decides how long the runs are that the searches will ask for.
PACE = {"ours": 4.0, "torch_muon": 3.0, "stock": 0.2}


def run(
    *,
    sizes: tuple[str, ...] = ("1M", "5M"),
    corpora: tuple[str, ...] = (EMBEDDED,),
    updates: int = 300,
    seeds: int = 3,
    rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2),
    eval_samples: int = 192,
    torch_compile: bool = False,
    dry_run: bool = False,
    fresh: bool = False,
) -> Findings | None:
    """Run every race.

    Args:
        sizes: Models: 1M, 5M, or hidden size and layers such as 256x5.
        corpora: Texts: standard_library, or files, folders and globs, each of them a corpus. The default is the one
            that everybody has; a recipe is not tuned to its text only where a second one agrees.
        updates: Length of a full run.
        seeds: Seeds of the finalists.
        rates: Learning rates of the sweeps.
        eval_samples: Held-out blocks of each evaluation.
        torch_compile: Compile the models.
        dry_run: Only say what would be run, and how long that takes.
        fresh: Forget what was measured on this device before.
    """
    require_at_least(1, seeds=seeds, eval_samples=eval_samples)
    require_at_least(10, updates=updates)
    common = {"torch_compile": True} if torch_compile else {}
    condition = "compiled" if torch_compile else ""

    def investigate(measure: Measure) -> list[Race]:
        def run_race(size: str, corpus: str) -> Race:
            def trial(*, settings: Mapping[str, Any], **who: Any) -> Trial:
                where: dict[str, Any] = {"size": size, "corpus": corpus, "eval_samples": eval_samples}
                return Trial(**where, **who, eval_every=max(1, updates // 10), settings={**settings, **common})

            return race(measure, trial, updates=updates, num_seeds=seeds, rates=rates)

        return [run_race(size, corpus) for size in sizes for corpus in corpora]

    def report(races: list[Race]) -> Findings:
        picture = picture_path("speedrun", condition)
        draw_races(races, picture)
        tables = [table for each in races for table in tables_of(each)]
        pictures = [(picture, "Evaluation loss")]
        return Findings([goal_table(races), *tables], pictures, remarks_of(races), condition=condition)

    hint = ONE_CORPUS if len(corpora) == 1 else ""
    return carry_out("speedrun", investigate, report, pace=PACE, hint=hint, dry_run=dry_run, fresh=fresh)
