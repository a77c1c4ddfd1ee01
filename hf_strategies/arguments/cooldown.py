"""A cooldown that branches off a run: its settings stand on those of the run, its trunk."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hf_strategies.arguments.layers import Layer, read_yaml
from hf_strategies.arguments.merging import OF_ARCHITECTURE, OWNED, Value
from hf_strategies.arguments.schedule_checks import planned_scale, refused
from hf_strategies.arguments.topics import StrategyArguments
from hf_strategies.errors import UserError
from hf_strategies.optimizers import OPTIMIZERS

TRUNK_CONFIG = "resolved_config.yaml"
LENGTHS = ("max_steps", "num_train_epochs")
# What the trunk's checkpoint holds or depends on: another value would be lost, or make it unreadable.
FIXED = (
    "learning_rate", "weight_decay", "warmup_steps", "hyperparameter_curves", "param_groups", "data_seed",
    "max_seq_length", "tokenizer", "vocab_size", "tokenizer_name", "model_name_or_path", "architecture",
    *OF_ARCHITECTURE,
    *(
        name
        for choice in ("optimizer", "optim", "scheduler", "lr_scheduler_type")
        for name in (choice, *OWNED[choice])
    ),
)  # fmt: skip


def read_trunk(checkpoint: Path) -> Layer:
    """Read the settings of the run that a checkpoint belongs to, its length left out.

    Raises:
        UserError: There is no such checkpoint, or its folder holds no settings.
    """
    if not (checkpoint / "trainer_state.json").is_file() and (checkpoint / TRUNK_CONFIG).is_file():
        saved = [path for path in checkpoint.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
        newest = max(saved, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
        has = "and holds no checkpoint" if newest is None else f"name one of its checkpoints, the newest is {newest}"
        raise UserError(f"{checkpoint} is a run's folder{' ' if newest is None else ': '}{has}")
    if not (checkpoint / "trainer_state.json").is_file():
        raise UserError(f"{checkpoint} is not a checkpoint (no trainer_state.json in it)")
    path = checkpoint.absolute().parent / TRUNK_CONFIG
    if not path.is_file():
        raise UserError(f"{path.parent} holds no {TRUNK_CONFIG}: expected a checkpoint of our own run")
    trunk = read_yaml(path, str(path))
    return Layer(trunk.label, {name: item for name, item in trunk.values.items() if name not in LENGTHS})


class TrunkState(NamedTuple):
    """How far a trunk had come at a checkpoint.

    Args:
        done: Updates that led to it.
        planned: Updates that the whole trunk was to have.
        updates_per_epoch: Updates in one pass over its data.
    """

    done: int
    planned: int
    updates_per_epoch: float | None


def read_trunk_state(checkpoint: Path) -> TrunkState:
    """Read from a checkpoint how far its run had come."""
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    done, epochs = state["global_step"], state["epoch"]
    return TrunkState(done, state["max_steps"], round(done / epochs) if epochs else None)


def cooldown_problems(values: dict[str, Value], trunk: Layer | None) -> Iterator[str]:
    """Yield one line per mistake about a cooldown; `trunk` is None where none was asked for, or it cannot be read."""
    length = values.get("cooldown_steps")
    if trunk is None and values.get("cooldown_from"):
        return  # its checkpoint could not be read, which has been said
    if trunk is None:
        if length is not None and length.value is not None:
            yield f"{length.where}: cooldown_steps belongs to cooldown_from, which this run does not set"
        shape = values.get("cooldown_shape")
        if shape is not None and shape.value != StrategyArguments.cooldown_shape:
            yield f"{shape.where}: cooldown_shape belongs to cooldown_from, which this run does not set"
        return
    optimizer = values.get("optimizer")
    if optimizer is not None and optimizer.value in OPTIMIZERS and OPTIMIZERS[optimizer.value].facts.get("averages"):
        branching = values["cooldown_from"].where
        yield f"{branching}: optimizer {optimizer.value} averages instead of decaying: its runs need no cooldown"
    if length is None or length.value is None:
        yield f"{values['cooldown_from'].where}: cooldown_from needs cooldown_steps, the length of the cooldown"
    else:
        yield from refused(length, lambda: planned_scale(values, epochs=False).updates("cooldown_steps", length.value))
        if length.value == 0:
            yield f"{length.where}: cooldown_steps must be at least one update, got 0"
    for name in LENGTHS:
        if name in values and values[name].value is not None:
            yield f"{values[name].where}: {name} does not go with cooldown_from: cooldown_steps is its length"
    for name in FIXED:
        theirs = trunk.values.get(name)
        if name in values and values[name].value != (theirs and theirs.value):
            yield f"{values[name].where}: {name} belongs to the trunk: a cooldown goes on from its checkpoint as it is"
