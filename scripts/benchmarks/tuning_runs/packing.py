"""Rows of several examples against batches padded to their longest: tokens per second, and the same gradients."""

from collections.abc import Sequence
from pathlib import Path

from .. import Table
from ..training_runs.goals import Floor, Goal
from .data import instructions
from .ingredients import data_at, given, rows_file
from .scope import Report, Scope
from .trial import Trial, TunedRow

AIMS = {"uniform": 1.4, "skewed": 2.0}  # times as many tokens per second
NUM_EXAMPLES = {"uniform": 128, "skewed": 320}
ROUNDS = 3
SCRIPT = Path(__file__).with_name("packing_speed.py")


def plan(scope: Scope) -> list[Trial]:
    texts = [{"text": f"{row['instruction']}\n{row['output']}"} for row in instructions()]
    return [
        scope.trial(
            part="packing",
            task=kind,
            contender="packed and padded",
            seed=0,
            script=SCRIPT,
            settings={
                "texts": rows_file("instructions.jsonl", texts),
                "tokenizer": given(data_at("stories260K")),
                "lengths": kind,
                "examples": NUM_EXAMPLES[kind],
                "rounds": ROUNDS,
            },
            seconds=240,
        )
        for kind in AIMS
    ]


def report(rows: Sequence[TunedRow]) -> Report:
    goals: list[Goal | Floor] = []
    for row in rows:
        found = row.results
        goals.append(
            Floor(f"{row.task} lengths: tokens per second, packed / padded", AIMS[row.task], [found["speedup"]])
        )
    greatest = max(row.results["gradient_difference"] for row in rows)
    goals.append(Goal("gradients packed and padded: difference / greatest", 1e-6, [greatest]))
    table = [
        {
            "lengths": row.task,
            "packed tok/s": round(row.results["packed_tokens_per_second"]),
            "padded tok/s": round(row.results["padded_tokens_per_second"]),
            "speedup": f"{row.results['speedup']:.2f}",
            "range": f"{row.results['lowest_speedup']:.2f} to {row.results['highest_speedup']:.2f}",
            "packed fill": f"{row.results['packed_fill']:.0%}",
            "padded fill": f"{row.results['padded_fill']:.0%}",
            "gradients": f"{row.results['gradient_difference']:.1e}",
        }
        for row in rows
    ]
    caption = "Real text at drawn lengths, a Llama of 5 M parameters, the same examples on both sides"
    return Report(
        goals,
        [Table(table, caption)],
        [f"Packing: {ROUNDS} rounds in turn, the median of their ratios; fill is the share of tokens of examples."],
    )
