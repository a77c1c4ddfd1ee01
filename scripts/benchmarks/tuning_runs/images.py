"""A small vision transformer from scratch, with and without augmentation, at equal epochs."""

from collections.abc import Sequence
from typing import Any

from .. import Table
from .ingredients import data_at, given
from .scope import Report, Scope
from .scores import LAST, summary
from .trial import Trial, TunedRow

MAX_SEEDS = 2
AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "none": {"image_augmentation": None},
    "trivial_augment": {"image_augmentation": "trivial_augment"},
    "mixup": {"image_augmentation": None, "image_mix": "mixup"},
    "cutmix": {"image_augmentation": None, "image_mix": "cutmix"},
    "trivial_augment + cutmix": {"image_augmentation": "trivial_augment", "image_mix": "cutmix"},
}


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
        lines = [
            {"augmentation": name, **summary([row for row in here if row.contender == name], "eval_accuracy")}
            for name in AUGMENTATIONS
        ]
        epochs = here[0].results["epoch"]
        tables.append(
            Table(lines, f"{task}: a vision transformer from scratch, {epochs:g} epochs, validation accuracy")
        )
    return Report(
        tables=tables,
        remarks=["Images: the last weights are scored, so that the validation rows have chosen nothing."],
    )
