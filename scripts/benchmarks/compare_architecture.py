"""Depth, width, heads, normalisation, positions and activation of a small Transformer, on loss and on time.

The comparison that ships as a recipe, `scripts/compare.py compare_architecture`: a pre-norm decoder of 1 M parameters
without embeddings, learned positions, GELU, and one change at a time, on the same tokens in the same order. Every run
is a process of scripts/pretrain.py; interrupted, the same command goes on.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import Findings, Table, require_at_least

if TYPE_CHECKING:
    from hf_strategies.planning.compare_verdicts import Verdict

NAME = "compare_architecture"
SCRIPTS = Path(__file__).parents[1]
FOLDER = SCRIPTS.parent / "runs" / "benchmarks" / NAME


def run(*, seeds: int = 4, max_steps: int = 300) -> Findings:
    """Compare; some 40 minutes on one core.

    Args:
        seeds: Of every setting; the recipe's own five take longer.
        max_steps: Updates of 2,048 bytes; the recipe has 400.

    Returns:
        One row for each setting, the answers in sentences, and a picture.
    """
    from hf_strategies.planning.compare import PICTURE, compare
    from hf_strategies.planning.compare_request import parse_compare
    from hf_strategies.planning.compare_verdicts import answer, notes

    from .training_runs.pictures import picture_path

    require_at_least(1, seeds=seeds, max_steps=max_steps)
    folder = FOLDER / f"{seeds}x{max_steps}"
    words = [NAME, "--seeds", str(seeds), "--max_steps", str(max_steps), "--output_dir", str(folder)]
    verdicts = compare(parse_compare(words), SCRIPTS)
    picture = picture_path(NAME)
    shutil.copyfile(folder / PICTURE, picture)
    shutil.rmtree(folder)  # what was found is recorded; another time it is measured again
    first = verdicts[0].result
    return Findings(
        [Table(rows_of(verdicts), "each against the first")],
        [(picture, "Change of the loss by seed, and time")],
        [*(f"{answer(verdict, first, 'eval_loss')}." for verdict in verdicts[1:]), *notes(verdicts, "tokens")],
    )


def rows_of(verdicts: Sequence["Verdict"]) -> list[dict[str, Any]]:
    """One row for each setting, in the order of the recipe."""
    return [
        {
            "setting": verdict.name,
            "eval_loss": round(verdict.result.loss, 4),
            "+-": round(verdict.result.spread, 4),
            "change": "" if verdict.difference is None else f"{verdict.difference.mean:+.4f}",
            "p": "" if verdict.difference is None else float(f"{verdict.p:.2g}"),
            "time": round(verdict.time, 2),
            "verdict": verdict.word,
        }
        for verdict in verdicts
    ]
