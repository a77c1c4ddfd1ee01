"""Which weights learn: all, an adapter, an adapter on four bits; and whether LoRA's default rate is a good one."""

import statistics
from collections.abc import Sequence
from typing import Any

from .. import Table
from ..training_runs.goals import Goal
from .encoder import adapting
from .scope import Report, Scope
from .scores import LAST, costs, scores_of, summary
from .small_data import classification, test_rows
from .trial import Trial, TunedRow

TASK = "TREC"
LORA = "lora"
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
WEIGHTS: dict[str, dict[str, Any]] = {
    "full": {},
    LORA: {"adapter": "lora"},
    "dora": {"adapter": "dora"},
    "lora on 4 bits": {"adapter": "lora", "quantization": "nf4"},
}


def plan(scope: Scope) -> list[Trial]:
    encoder = adapting(scope, TASK).product()
    scored = {"validation_file": [test_rows(TASK)], **LAST}
    sweep = {at(rate): {"adapter": "lora", "learning_rate": rate} for rate in RATES}
    return [
        classification(
            scope, encoder, part="adapters", task=TASK, contender=name, seed=seed, settings={**scored, **settings}
        )
        for name, settings in {**WEIGHTS, **sweep}.items()
        for seed in range(scope.seeds)
    ]


def at(rate: float) -> str:
    return f"lora at {rate:g}"


def report(rows: Sequence[TunedRow]) -> Report:
    means = {name: statistics.fmean(scores) for name, scores in scores_of(rows, "eval_accuracy").items()}
    best = max((at(rate) for rate in RATES), key=means.__getitem__)
    goal = Goal(
        f"{TASK}: accuracy of {best}, the best of its sweep, / of its default", 1.02, [means[best] / means[LORA]]
    )
    by_name = {name: [row for row in rows if row.contender == name] for name in means}
    kinds = [{"weights": name, **summary(by_name[name], "eval_accuracy"), **costs(by_name[name])} for name in WEIGHTS]
    rates = [
        {"weights": name, **summary(by_name[name], "eval_accuracy")} for name in (LORA, *(at(rate) for rate in RATES))
    ]
    caption = f"{TASK}, the examples and the recipe of small_data, accuracy on the test rows"
    return Report(
        [goal],
        [Table(kinds, f"{caption}: which weights learn"), Table(rates, f"{caption}: LoRA's rates, default first")],
        [
            "Adapters: all learn from all examples of small_data, and the last weights are scored.",
            "peak_MB is that of the whole process where there is no GPU: the libraries are most of it.",
        ],
    )
