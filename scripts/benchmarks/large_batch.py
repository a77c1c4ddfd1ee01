"""What a larger batch costs at equal tokens: LAMB against AdamW at 1, 8 and 32 times the shipped recipe's batch.

Both train the same model on as many tokens of the same data under the same schedule: warmup over 10% of the run,
cosine to zero, decay 0.1, clipping at 1. Each one's rate rule is the square root: its best rate at the base batch,
which a sweep in factors of two finds, times the root of the batch's factor. Since a rule may be wrong, each searches
around what it says, in factors of two as well, at every batch; the table shows the best rate beside the rule's. One
seed: the search picks the best of at least three runs, the same way for both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hf_strategies.arguments.quantities import parse_batch_size
from hf_strategies.errors import UserError

from . import Findings, Table, require_at_least
from .training_runs.contenders import adamw, lamb, shipped_recipe
from .training_runs.measure import Measure
from .training_runs.pictures import draw_losses, picture_path
from .training_runs.plan import carry_out
from .training_runs.rows import Row
from .training_runs.search import best_rate
from .training_runs.trial import EMBEDDED, Trial

WARMUP = 0.1
CONTENDERS: dict[str, Callable[..., dict[str, Any]]] = {"adamw": adamw, "lamb": lamb}


@dataclass(frozen=True)
class Best:
    """A contender's best run at one batch: what the rule said, what was better, and the run."""

    contender: str
    factor: int
    rule: float
    rate: float
    row: Row


def run(
    *,
    size: str = "1M",
    corpus: str = EMBEDDED,
    updates: int = 960,
    factors: tuple[int, ...] = (1, 8, 32),
    adamw_rate: float = 2e-3,
    lamb_rate: float = 1.6e-2,
    eval_samples: int = 192,
    dry_run: bool = False,
    fresh: bool = False,
) -> Findings | None:
    """Search both optimizers' rates at every batch.

    Args:
        size: Model: 1M, 5M, or hidden size and layers such as 256x5.
        corpus: Text: standard_library, or a file, folder or glob.
        updates: Length at the base batch, a multiple of every factor; a batch 8 times as large takes an eighth.
        factors: Batches, as multiples of the shipped recipe's; the first is where the rule starts.
        adamw_rate: Where AdamW's search starts at the first batch.
        lamb_rate: Where LAMB's search starts at the first batch.
        eval_samples: Held-out blocks of each evaluation.
        dry_run: Only say what would be run, and how long that takes.
        fresh: Forget what was measured on this device before.
    """
    require_at_least(1, factors=min(factors), eval_samples=eval_samples)
    require_at_least(max(factors), updates=updates)
    uneven = [factor for factor in factors if updates % factor]  # their runs would see fewer tokens
    if uneven:
        raise UserError(f"--updates must be a multiple of every factor, got {updates}, which is not of {uneven[0]}")
    starts = {"adamw": adamw_rate, "lamb": lamb_rate}
    batch = parse_batch_size(shipped_recipe().strategy.global_batch_size or "8")
    place: dict[str, Any] = {"size": size, "corpus": corpus, "eval_samples": eval_samples, "seed": 0}

    def investigate(measure: Measure) -> list[Best]:
        def search(contender: str, factor: int, rule: float) -> Best:
            length = updates // factor

            def row(rate: float) -> Row:
                settings = CONTENDERS[contender](rate, warmup=WARMUP)
                settings["global_batch_size"] = f"{factor * batch.count} {batch.unit}"
                trial = Trial(contender=contender, **place, updates=length, eval_every=length, settings=settings)
                return measure(trial)

            rate = best_rate(lambda rate: row(rate).comparable_loss, rule)
            return Best(contender, factor, rule, rate, row(rate))

        found = []
        for contender in CONTENDERS:
            first, *others = factors
            base = search(contender, first, starts[contender])
            found.append(base)
            found += [search(contender, factor, base.rate * math.sqrt(factor / first)) for factor in others]
        return found

    def report(found: list[Best]) -> Findings:
        picture = picture_path("large_batch")
        losses: dict[str, dict[float, float]] = {name: {} for name in CONTENDERS}
        for best in found:
            losses[best.contender][best.row.tokens_per_update] = best.row.eval_loss
        title = f"Loss at equal tokens by batch, {size}"
        draw_losses(losses, picture, title=title, xlabel="tokens per update", ticks=",")
        return Findings([Table(rows_of(found))], [(picture, "Loss by batch")])

    return carry_out("large_batch", investigate, report, dry_run=dry_run, fresh=fresh)


def rows_of(found: list[Best]) -> list[dict[str, Any]]:
    """One row per batch and contender, with what LAMB gains over AdamW at the same batch."""
    adamw_loss = {best.factor: best.row.eval_loss for best in found if best.contender == "adamw"}
    return [
        {
            "batch": f"{best.factor}x",
            "tokens_per_update": best.row.tokens_per_update,
            "updates": best.row.updates,
            "contender": best.contender,
            "rule_lr": f"{best.rule:.3g}",
            "best_lr": f"{best.rate:.3g}",
            "loss": round(best.row.eval_loss, 3),
            "above_adamw": round(best.row.eval_loss - adamw_loss[best.factor], 3),
        }
        for best in sorted(found, key=lambda best: best.factor)
    ]
