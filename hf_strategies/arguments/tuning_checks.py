"""What can be wrong with the settings of fine-tuning, found before torch is imported."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from hf_strategies.adapters import ADAPTERS, check_adapter_settings, check_quantization
from hf_strategies.arguments.merging import Value
from hf_strategies.arguments.schedule_checks import metric_problems, refused
from hf_strategies.arguments.tuning_topics import TASKS_WITH, AugmentationArguments
from hf_strategies.augmentation import TEXT_AUGMENTATIONS
from hf_strategies.augmentation.image_spec import parse_image_spec
from hf_strategies.augmentation.text import needs_of, parse_text_spec
from hf_strategies.callbacks import AVERAGES
from hf_strategies.callbacks.average_settings import check_average_settings
from hf_strategies.errors import UserError
from hf_strategies.metrics import METRICS
from hf_strategies.models import ARCHITECTURES
from hf_strategies.objectives import OBJECTIVES, check_objective_settings
from hf_strategies.ranges import AT_LEAST_ONE
from hf_strategies.tasks import TASKS

# A choice, the shelf it stands on, its settings, and what checks them.
CHOICES: tuple[tuple[str, Any, str, Callable[[str, dict[str, Any]], None]], ...] = (
    ("adapter", ADAPTERS, "adapter_kwargs", check_adapter_settings),
    ("loss", OBJECTIVES, "loss_kwargs", check_objective_settings),
    ("averaging", AVERAGES, "averaging_kwargs", check_average_settings),
)
IN_TURN = "in_turn"  # of balanced_sampling
SUPPLIES = {"synonyms": "synonyms", "back_translation": "paraphrases"}  # what augmentations need of those settings
NEEDS = {"merge_adapter": "adapter", "early_stopping_min_gain": "early_stopping_patience"}
OF_A_CHECKPOINT = ("adapter", "quantization", "linear_probe", "freeze", "reinitialize_blocks")


def tuning_problems(values: dict[str, Value]) -> Iterator[str]:
    """Yield one line per mistake, each with where it stands."""

    def get(name: str) -> Any:
        return values[name].value if name in values else None

    if get("task") is None:
        yield f"task: name what is to be learned, one of {', '.join(TASKS.names())}"
    for name, shelf, kwargs, check in CHOICES:
        if get(kwargs) and get(name) in shelf:
            yield from refused(values[kwargs], partial(check, get(name), get(kwargs)))
    if (quantization := values.get("quantization")) is not None and get("quantization"):
        yield from refused(quantization, partial(check_quantization, quantization.value))
    yield from metric_problems(values, ("loss", *METRICS.names()))
    for name, needed in NEEDS.items():
        if get(name) and not get(needed):
            yield f"{values[name].where}: {name} belongs to {needed}, which this run does not set"
    yield from _model_problems(values)
    yield from _text_augmentation_problems(values)
    if get("image_augmentation"):
        yield from refused(values["image_augmentation"], lambda: parse_image_spec(as_steps(get("image_augmentation"))))
    if (mix := as_steps(get("image_mix"))) is not None:
        if len(mix) > 1:
            yield f"{values['image_mix'].where}: image_mix must be one way of mixing, got {len(mix)}"
        else:
            yield from refused(values["image_mix"], lambda: parse_image_spec(None, mix[0]))
    balance = get("balanced_sampling")
    if isinstance(balance, str) and balance != IN_TURN:
        yield f"{values['balanced_sampling'].where}: balanced_sampling must be {IN_TURN} or a number, got {balance!r}"
    elif isinstance(balance, float | int) and not AT_LEAST_ONE[0](balance):
        yield f"{values['balanced_sampling'].where}: balanced_sampling must be {AT_LEAST_ONE[1]}, got {balance}"
    for pattern in get("freeze") or ():
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"{values['freeze'].where}: {pattern!r} is no regular expression: {error}"
    for name, tasks in TASKS_WITH.items():
        if get(name) and get("task") in TASKS and get("task") not in tasks:
            yield f"{values[name].where}: {name} is for {', '.join(tasks)}, got task {get('task')}"


def _model_problems(values: dict[str, Value]) -> Iterator[str]:
    """Refuse what cannot be done to the model, or not together."""

    def get(name: str) -> Any:
        return values[name].value if name in values else None

    task, architecture, adapter = get("task"), get("architecture"), get("adapter")
    if architecture in ARCHITECTURES and task in TASKS and task not in ARCHITECTURES[architecture].facts["objectives"]:
        fitting = [entry.name for entry in ARCHITECTURES if task in entry.facts["objectives"]]
        instead = f"take {' or '.join(fitting)}, or name" if fitting else "name"
        yield (
            f"{values['architecture'].where}: architecture {architecture} does not learn {task} from scratch: "
            f"{instead} a checkpoint with model_name_or_path"
        )
    for name in OF_A_CHECKPOINT:
        if get(name) and architecture:
            said = f"architecture {architecture} ({values['architecture'].where}) starts from random weights"
            yield f"{values[name].where}: {name} needs a checkpoint, and {said}: name one with model_name_or_path"
    for name in ("linear_probe", "freeze"):
        if get(name) and adapter:
            rest = f"adapter {adapter} ({values['adapter'].where}), which freezes all but itself and the head"
            yield f"{values[name].where}: {name} does not go with {rest}"
    if get("merge_adapter") and adapter in ADAPTERS and not ADAPTERS[adapter].facts["merges"]:
        fitting = [entry.name for entry in ADAPTERS if entry.facts["merges"]]
        said = f"{adapter} cannot become part of the weights; {', '.join(fitting)} can"
        yield f"{values['merge_adapter'].where}: {said}"


def _text_augmentation_problems(values: dict[str, Value]) -> Iterator[str]:
    asked = values.get("text_augmentation")
    needs: set[str] = set()
    if asked is not None and asked.value:
        try:
            needs = needs_of(parse_text_spec(as_steps(asked.value)))
        except UserError as error:
            yield f"{asked.where}: {error}"
            return
    for name, need in SUPPLIES.items():
        if (given := values.get(name)) and given.value != getattr(AugmentationArguments, name) and need not in needs:
            fitting = [entry.name for entry in TEXT_AUGMENTATIONS if entry.facts["needs"] == need]
            said = f"{name} belongs to text_augmentation {' or '.join(fitting)}, which this run does not set"
            yield f"{given.where}: {said}"


def as_steps(written: dict[str, Any] | str | None) -> list[Any] | None:
    """Turn `aeda,token_dropout`, or a mapping of names to settings, into a list of augmentations."""
    if written is None:
        return None
    if isinstance(written, str):
        return [name.strip() for name in written.split(",")]
    return [{"name": name, **(settings or {})} for name, settings in written.items()]
