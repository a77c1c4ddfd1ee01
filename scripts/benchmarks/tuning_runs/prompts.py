"""Prompts, soft prompts, adapters or all weights: one small language model sorts questions in every way."""

from collections.abc import Sequence
from typing import Any

from hf_strategies.arguments.tuning_topics import SCORE

from .. import Table
from .data import few_examples
from .ingredients import data_at, given, rows_file
from .scope import Report, Scope
from .scores import LAST, costs, summary
from .small_data import NUM_EXAMPLES, test_rows
from .trial import Trial, TunedRow

MAX_SEEDS = 3
TASK = "TREC"
# Of its classes, by their numbers in this file.
WORDS = ("description", "entity", "abbreviation", "person", "location", "number")
LABEL_WORDS = ",".join(f"{number}={word}" for number, word in enumerate(WORDS))
SHOTS = 4
PROMPTED: dict[str, dict[str, Any]] = {
    "prompt": {"shots": [0], "calibration": "none"},
    "prompt, calibrated": {"shots": [0], "calibration": "contextual"},
    f"prompt, {SHOTS} shots": {"shots": [SHOTS], "calibration": "none"},
    f"prompt, {SHOTS} shots, calibrated": {"shots": [SHOTS], "calibration": "contextual"},
}
TUNED: dict[str, dict[str, Any]] = {
    "soft prompt, prefix": {"adapter": "prefix_tuning"},  # prompt_tuning does not fit classifiers of a last token
    "adapter, lora": {"adapter": "lora"},
    "full fine-tuning": {},
}


def plan(scope: Scope) -> list[Trial]:
    model = given(data_at("stories260K"))
    trials = []
    for seed in range(min(MAX_SEEDS, scope.seeds)):
        common = {
            "task": "text-classification",
            "model_name_or_path": model,
            "train_file": rows_file(f"{TASK}-{seed}.jsonl", few_examples(TASK, NUM_EXAMPLES, seed=seed)),
            "validation_file": test_rows(TASK),
        }
        who: dict[str, Any] = {"part": "prompts", "task": TASK, "seed": seed}
        trials += [
            Trial(**who, contender=name, script=SCORE, recipe="question_type", seconds=20,
                  settings={**common, "label_words": LABEL_WORDS, "num_seeds": 1, **settings})
            for name, settings in PROMPTED.items()
        ]  # fmt: skip
        trials += [
            scope.trial(**who, contender=name, chosen="small_data", settings={**common, **LAST, **settings})
            for name, settings in TUNED.items()
        ]
    return trials


def report(rows: Sequence[TunedRow]) -> Report:
    by_name = {name: [row for row in rows if row.contender == name] for name in (*PROMPTED, *TUNED)}
    table = [{"method": name, **summary(found, "eval_accuracy"), **costs(found)} for name, found in by_name.items()]
    return Report(
        tables=[Table(table, f"stories260K on {TASK}, {NUM_EXAMPLES} examples, accuracy on the test rows")],
        remarks=["Prompts: a seed draws the demonstrations from the examples that the others learn from."],
    )
