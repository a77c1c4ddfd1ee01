"""Look at the shelves, make a plain model of a checkpoint, and write out what a clone has beside the package.

python -m hf_strategies list                     every shelf
python -m hf_strategies list optimizers          one of them
python -m hf_strategies list recipes             those of all scripts
python -m hf_strategies show muon                one strategy
python -m hf_strategies show gpt3_125m           one recipe, with its schedule
python -m hf_strategies convert CHECKPOINT OUT   a folder for from_pretrained, from any checkpoint or run
python -m hf_strategies configs OUT              scripts/, accelerate_configs/, ds_configs/: for those without a clone
"""

import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hf_strategies.adapters import ADAPTERS, QUANTIZATIONS
from hf_strategies.arguments.layers import recipe_names, recipe_summary
from hf_strategies.arguments.tuning_topics import JOB_TOPICS
from hf_strategies.augmentation import IMAGE_AUGMENTATIONS, IMAGE_MIXES, TEXT_AUGMENTATIONS
from hf_strategies.callbacks import AVERAGES, CALLBACKS
from hf_strategies.data.maskings import MASKINGS
from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.metrics import METRICS
from hf_strategies.models import ARCHITECTURES
from hf_strategies.objectives import OBJECTIVES
from hf_strategies.optimizers import OPTIMIZERS
from hf_strategies.optimizers.hyperparameters import RANGES as OPTIMIZER_RANGES
from hf_strategies.planning.compare_request import COMPARE
from hf_strategies.planning.shipped_files import write_configs
from hf_strategies.registry import Entry, Registry
from hf_strategies.reports.terminal import format_table, format_value
from hf_strategies.schedulers import SCHEDULERS
from hf_strategies.schedulers.shapes import describe_shape
from hf_strategies.tasks import TASKS

SHELVES: dict[str, Registry] = {
    "architectures": ARCHITECTURES,
    "tasks": TASKS,
    "adapters": ADAPTERS,
    "quantizations": QUANTIZATIONS,
    "text_augmentations": TEXT_AUGMENTATIONS,
    "image_augmentations": IMAGE_AUGMENTATIONS,
    "image_mixes": IMAGE_MIXES,
    "maskings": MASKINGS,
    "objectives": OBJECTIVES,
    "metrics": METRICS,
    "optimizers": OPTIMIZERS,
    "schedulers": SCHEDULERS,
    "averages": AVERAGES,
    "callbacks": CALLBACKS,
}
RECIPES = "recipes"  # those of all jobs
RECIPES_OF = (*JOB_TOPICS, COMPARE)


def list_shelves(names: Sequence[str]) -> Iterator[str]:
    """Yield a table per shelf; the recipes of each job are one.

    Raises:
        UserError: There is no such shelf.
    """
    recipes = {f"{job}_recipes": job for job in RECIPES_OF}
    known = [*SHELVES, *recipes]
    for name in names or known:
        rows: list[tuple[str, ...]]
        if name == RECIPES:
            found = [(recipe, job) for job in RECIPES_OF for recipe in recipe_names(job)]
            rows = [(recipe, job, recipe_summary(recipe, job)) for recipe, job in found]
        elif name in SHELVES:
            rows = [(entry.name, entry.summary) for entry in (*SHELVES[name], *SHELVES[name].families())]
        elif name in recipes:
            rows = [(recipe, recipe_summary(recipe, recipes[name])) for recipe in recipe_names(recipes[name])]
        else:
            every = [*known, RECIPES]
            raise UserError(f"unknown shelf {name!r}{did_you_mean(name, every)} (known: {', '.join(every)})")
        table = format_table(rows)
        yield f"{name}\n" + "\n".join(f"  {line}" for line in table.splitlines()) + "\n"


def show(name: str) -> Iterator[str]:
    """Yield what is known about one strategy or recipe; a name may stand on several shelves.

    Raises:
        UserError: No shelf has it.
    """
    found = [(shelf.kind, shelf[name]) for shelf in SHELVES.values() if name in shelf]
    recipes = [(recipe, job) for job in RECIPES_OF for recipe in recipe_names(job)]
    if not found and name not in dict(recipes):
        known = [entry.name for shelf in SHELVES.values() for entry in shelf] + list(dict(recipes))
        raise UserError(f"nothing is called {name!r}{did_you_mean(name, known)}")
    for kind, entry in found:
        yield _describe(kind, entry)
    for recipe, job in recipes:
        if recipe == name:
            from hf_strategies.planning.recipe_card import describe_recipe  # here, since listing needs no plans

            yield describe_recipe(recipe, job)


def _describe(kind: str, entry: Entry) -> str:
    """Lay out an entry's facts, its settings with their defaults, and what its builder says of itself."""
    shown = {name: value for name, value in entry.facts.items() if name not in ("hyperparameters", "check_options")}
    facts = [(name, inspect.getdoc(value) if callable(value) else value) for name, value in shown.items()]
    build = entry.build
    rows = [("summary", entry.summary), ("paper", entry.paper), *facts, ("settings", _settings(kind, entry))]
    listed = [_line(name, value) for name, value in rows if value not in ("", None, {})]
    said = inspect.getdoc(build.func if isinstance(build, partial) else build) or ""
    body = "\n".join([*listed, "", *said.splitlines()])
    return f"{kind} {entry.name}\n{textwrap.indent(body, '  ')}\n"


def _settings(kind: str, entry: Entry) -> dict[str, str]:
    """List an entry's settings with their defaults, or that there is none; and what each may be, where a rule says."""
    rows = describe_shape(entry) if kind == SCHEDULERS.kind else _signature(kind, entry)
    return {
        f"{name} (required)" if default is inspect.Parameter.empty else f"{name} = {format_value(default)}": allowed
        for name, default, allowed in rows
    }


def _signature(kind: str, entry: Entry) -> list[tuple[str, Any, str]]:
    """List what a builder takes by name: each argument, its default (empty where it has none), what it may be."""
    if kind == OPTIMIZERS.kind and entry.member:
        from hf_strategies.optimizers.library_classes import class_settings  # here, since it needs the library

        return [(found.name, found.default, "") for found in class_settings(entry.member)]
    ranges = OPTIMIZER_RANGES if kind == OPTIMIZERS.kind else {}
    return [
        (found.name, found.default, ranges[found.name][1] if found.name in ranges else "")
        for found in inspect.signature(entry.build).parameters.values()
        if found.default is not found.empty or found.kind is found.KEYWORD_ONLY
    ]


def _line(name: str, value: Any) -> str:
    """Write a fact in a line; of a table, a line for each of its rows."""
    title = name.replace("_", " ")
    if isinstance(value, Mapping):
        rows = [f"  {key}: {format_value(row)}" if row != "" else f"  {key}" for key, row in value.items()]
        return "\n".join([f"{title}:", *rows])
    return f"{title}: {format_value(value)}"


def _convert(checkpoint: Path, out: Path) -> str:
    from transformers.utils import logging

    from hf_strategies.checkpoints.conversion import convert

    logging.disable_progress_bar()
    return convert(checkpoint, out)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words[:1] == ["list"]:
            print("\n".join(list_shelves(words[1:])))
        elif words[:1] == ["show"] and len(words) == 2:
            print("\n".join(show(words[1])))
        elif words[:1] == ["convert"] and len(words) == 3:
            print(_convert(Path(words[1]), Path(words[2])))
        elif words[:1] == ["configs"] and len(words) == 2:
            print(write_configs(Path(words[1])))
        else:
            print(__doc__)
            return 0 if words in ([], ["--help"], ["-h"]) else 2
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
