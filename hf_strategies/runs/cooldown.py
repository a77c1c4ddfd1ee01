"""Branch a cooldown off a run: from a checkpoint of it the rate falls to zero, and the run itself stays as it is."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.batch import tokens_per_update
from hf_strategies.arguments.cooldown import read_trunk_state
from hf_strategies.errors import UserError, first_line
from hf_strategies.schedulers import RunScale
from hf_strategies.schedulers.lengths import UNKNOWN


def branch_cooldown(arguments: Arguments, *, block_size: int) -> Arguments:
    """Turn a trunk's settings into those of its branch: the trunk's updates, then a fall from the rate it had reached.

    Args:
        arguments: The trunk's settings, with `cooldown_from` and `cooldown_steps`.
        block_size: Tokens per sequence.

    Raises:
        UserError: The checkpoint's schedule cannot be read, or has nothing left to fall from.
    """
    strategy = arguments.strategy
    assert strategy.cooldown_from is not None  # parsing has seen that the checkpoint is there
    checkpoint = Path(strategy.cooldown_from)
    done, planned, updates_per_epoch = read_trunk_state(checkpoint)
    tokens = tokens_per_update(arguments.values, block_size=block_size)
    length = cooldown_updates(strategy.cooldown_steps, done=done, tokens=tokens)
    reached = read_factor(checkpoint)
    phases = [
        {"scheduler": "constant", "num_steps": done, "peak": reached},
        {
            "scheduler": "warmup_stable_decay",
            "num_decay_steps": length,
            "decay_shape": strategy.cooldown_shape,
            "peak": reached,
        },
    ]
    notes = [f"a cooldown of {length:,} updates from update {done:,} of {checkpoint.absolute().parent}"]
    if reached < 1.0:
        warmup = RunScale(planned, tokens, updates_per_epoch).updates(
            "warmup_steps", arguments.training.get("warmup_steps") or 0, rounding=math.ceil, bounded=False
        )
        rising = f", still in its warmup (update {done} of {warmup})" if done < warmup else ""
        notes.append(f"the trunk's rate is at {reached:.4g} of its peak there{rising}: the fall begins at that")
    return replace(
        arguments,
        strategy=replace(strategy, scheduler="sequence", scheduler_kwargs={"phases": phases}),
        training={**arguments.training, "warmup_steps": 0, "max_steps": done + length},
        notes=[*arguments.notes, *notes],
    )


def cooldown_updates(length: Any, *, done: int, tokens: int | None) -> int:
    """Turn the length of a cooldown into updates; a share is one of the branch's whole length.

    Args:
        length: As a user wrote it.
        done: Updates of the trunk.
        tokens: Tokens in one update.
    """
    if isinstance(length, float) and 0.0 < length < 1.0:
        return max(1, round(done * length / (1.0 - length)))
    return max(1, RunScale(UNKNOWN, tokens).updates("cooldown_steps", length))


def read_factor(checkpoint: Path) -> float:
    """Read from a checkpoint how much of its base rate the run was about to use.

    Raises:
        UserError: There is no schedule in the checkpoint, or not one that scales a base rate, or it is at zero.
    """
    path = checkpoint / "scheduler.pt"
    if not path.is_file():
        raise UserError(f"cooldown_from: {path} is missing: the checkpoint does not say where its schedule stood")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has many words for a damaged file, and for one that would run code
        raise UserError(f"cooldown_from: {path} is damaged, or would run code: {first_line(error)[:100]}") from error
    if not {"base_lrs", "_last_lr"} <= state.keys():
        raise UserError("cooldown_from: the trunk's schedule follows a metric: it has no rate to fall from by updates")
    factors = [float(now) / float(base) for now, base in zip(state["_last_lr"], state["base_lrs"]) if base > 0]
    if not factors or factors[0] <= 0.0:
        raise UserError(f"cooldown_from: the rate is 0 at {checkpoint}: take a checkpoint from before its fall")
    return min(factors[0], 1.0)
