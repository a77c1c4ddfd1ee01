"""A small vision transformer from scratch, with and without augmentation, at equal epochs."""

import statistics
from collections.abc import Sequence
from typing import Any

from .. import Table
from .ingredients import data_at, given
from .scope import Report, Scope
from .small_data import spread
from .trial import Trial, TunedRow

MAX_SEEDS = 2
AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "none": {"image_augmentation": None},
    "trivial_augment": {"image_augmentation": "trivial_augment"},
    "mixup": {"image_augmentation": None, "image_mix": "mixup"},
    "cutmix": {"image_augmentation": None, "image_mix": "cutmix"},
    "trivial_augment + cutmix": {"image_augmentation": "trivial_augment", "image_mix": "cutmix"},
}
LAST: dict[str, Any] = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}


def plan(scope: Scope) -> list[Trial]:
    archive = given(data_at("cifar10_6k/cifar10_jpg_6k.zip"))
    tasks: dict[str, tuple[dict[str, Any], float]] = {
        "digits": ({}, 60),
        "cifar10_6k": ({"train_file": [archive], "architecture": "vit", "patch_size": 4, "num_train_epochs": 20}, 300),
    }
    return [
        scope.trial(
            part="images",
            task=task,
            contender=name,
            seed=seed,
            chosen="from_scratch",
            settings={"task": "image-classification", **where, **LAST, **augmentation},
            seconds=seconds,
        )
        for task, (where, seconds) in tasks.items()
        for seed in range(min(MAX_SEEDS, scope.seeds))
        for name, augmentation in AUGMENTATIONS.items()
    ]


def report(rows: Sequence[TunedRow]) -> Report:
    tables = []
    for task in dict.fromkeys(row.task for row in rows):
        here = [row for row in rows if row.task == task]
        lines = [line(name, [row for row in here if row.contender == name]) for name in AUGMENTATIONS]
        epochs = here[0].results["epoch"]
        tables.append(
            Table(lines, f"{task}: a vision transformer from scratch, {epochs:g} epochs, validation accuracy")
        )
    return Report(
        tables=tables,
        remarks=["Images: the last weights are scored, so that the validation rows have chosen nothing."],
    )


def line(name: str, rows: Sequence[TunedRow]) -> dict[str, Any]:
    scores = [row.results["eval_accuracy"] for row in rows]
    return {
        "augmentation": name,
        "accuracy": f"{statistics.fmean(scores):.3f}",
        "std": f"{spread(scores):.3f}",
        "worst": f"{min(scores):.3f}",
        "seeds": len(scores),
        "seconds": round(statistics.median(row.wall_seconds for row in rows), 1),
    }
