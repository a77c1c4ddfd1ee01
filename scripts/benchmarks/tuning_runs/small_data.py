"""Five hundred labelled texts: the recipe that the script chooses, against what run_glue.py does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import Table
from ..training_runs.goals import Floor, Goal
from .data import few_examples, sides
from .encoder import MAX_LENGTH, adapting, pretraining, untrained
from .ingredients import Ingredient, rows_file
from .scope import Report, Scope
from .scores import LAST, scores_of, spread, summary
from .trial import Trial, TunedRow

TASKS = ("TREC", "rt-polarity")
NUM_EXAMPLES = 500
RECIPE, GLUE, SCRATCH = "recipe", "run_glue", "from scratch"
COLLAPSED = 0.02  # above the share of the most frequent class, at most

# Three epochs over all rows at 5e-5, linear to zero, no warmup, no decay, batches of 32; the last weights are kept.
GLUE_SETTINGS: dict[str, Any] = {
    "num_train_epochs": 3,
    "learning_rate": 5e-5,
    "scheduler": "linear",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "per_device_train_batch_size": 32,
    **LAST,
}


def plan(scope: Scope) -> list[Trial]:
    trials = [pretraining(scope)]
    for task in TASKS:
        encoder = adapting(scope, task).product()
        trials.append(adapting(scope, task))
        for seed in range(scope.seeds):
            contenders: dict[str, dict[str, Any]] = {
                RECIPE: {},
                # With rows to validate on it holds none out: it learns from all that it has.
                GLUE: {"validation_file": [test_rows(task)], **GLUE_SETTINGS},
                SCRATCH: {"model_name_or_path": untrained(encoder, seed)},
                "recipe + aeda": {"text_augmentation": "aeda"},
                "recipe + eda": {"text_augmentation": "eda"},
            }
            trials += [
                tested(scope, encoder, part="small_data", task=task, contender=name, seed=seed, settings=given)
                for name, given in contenders.items()
            ]
    return trials


def tested(scope: Scope, encoder: Ingredient, *, task: str, **who: Any) -> Trial:
    """Describe a run that is tested on rows that it does not see."""
    test = sides(task)[1]

    def inspect(output: Path) -> dict[str, float]:
        from .checkpoints import test_scores

        return test_scores(output, test, MAX_LENGTH)

    return classification(
        scope, encoder, task=task, inspect=inspect, inspects=f"test rows {test_rows(task).identity}", **who
    )


def test_rows(task: str) -> Ingredient:
    return rows_file(f"{task}-test.jsonl", sides(task)[1])


def classification(scope: Scope, encoder: Ingredient, *, task: str, seed: int, settings: Any, **who: Any) -> Trial:
    """Describe a run on a seed's examples."""
    return scope.trial(
        task=task,
        seed=seed,
        chosen="small_data",
        settings={
            "task": "text-classification",
            "model_name_or_path": encoder,
            "train_file": rows_file(f"{task}-{seed}.jsonl", few_examples(task, NUM_EXAMPLES, seed=seed)),
            "max_seq_length": MAX_LENGTH,
            **settings,
        },
        **who,
    )


def report(rows: Sequence[TunedRow]) -> Report:
    goals: list[Goal | Floor] = []
    tables = []
    scores = {}
    for task in TASKS:
        by_contender = scores_of([row for row in rows if row.task == task], "test_accuracy")
        recipe, glue, scratch = (by_contender[name] for name in (RECIPE, GLUE, SCRATCH))
        goals += [
            Floor(f"{task}: recipe - run_glue, points", 3.0, [100 * (a - b) for a, b in zip(recipe, glue)]),
            Floor(f"{task}: recipe - from scratch, points", 0.0, [100 * (a - b) for a, b in zip(recipe, scratch)]),
            Goal(f"{task}: recipe's deviation over seeds, points", 3.0, [100 * spread(recipe)]),
        ]
        table = [
            line(name, [row for row in rows if (row.task, row.contender) == (task, name)]) for name in by_contender
        ]
        goals.append(Goal(f"{task}: collapsed seeds of the recipe", 0, [table[0]["collapsed"]]))
        tables.append(Table(table, f"{task}, {NUM_EXAMPLES} examples, accuracy on {len(sides(task)[1]):,} test rows"))
        scores[task] = by_contender
    remarks = [
        "The encoder was pretrained here on news, web pages, instructions and, without labels, all texts that the "
        "examples are drawn from; on none that is tested. It then went on with the texts of each task, as ULMFiT does "
        "(Howard and Ruder 2018).",
        "The recipe is the one that the script chooses; it holds a fifth of the examples out to choose an epoch; "
        "run_glue learns from all. The test rows decide nothing, and are scored with transformers alone.",
        "from scratch is the same recipe on the same architecture, whose random weights each seed has its own of.",
        f"A seed has collapsed if it is at most {100 * COLLAPSED:.0f} points above the most frequent class.",
        *(
            f"{row.contender}: {row.wall_seconds / 60:.1f} minutes, to a loss of {row.results['eval_loss']:.2f}."
            for row in rows
            if row.task == "pretraining"
        ),
    ]
    return Report(goals, tables, remarks, scores)


def line(contender: str, rows: Sequence[TunedRow]) -> dict[str, Any]:
    collapsed = sum(row.results["test_accuracy"] <= row.results["test_majority"] + COLLAPSED for row in rows)
    return {"contender": contender, **summary(rows, "test_accuracy"), "collapsed": collapsed}
