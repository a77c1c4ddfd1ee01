"""What one process has written for all: weights in safetensors, and a pickle of the optimizer."""

import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from hf_strategies.checkpoints.zero_state import bare, load
from hf_strategies.errors import UserError, first_line

OPTIMIZERS = ("optimizer.pt", "optimizer.bin")  # of replicas, and of FSDP with whole state dicts
WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
INDEX = "model.safetensors.index.json"
ADAPTER = re.compile(r"\.(modules_to_save\.)?default\b")  # PEFT leaves the adapter's name out of what it saves


class WholeState:
    """The state in a checkpoint of one process, of DDP, or of FSDP with whole state dicts; a `TrainingState`.

    Args:
        checkpoint: Its folder.
        groups: Names of the parameters in each group, where the optimizer's file only counts them.

    Raises:
        UserError: A file is missing or damaged, or the groups are others.
    """

    loss_scale: float | None = None

    def __init__(self, checkpoint: Path, groups: Sequence[Sequence[str]]) -> None:
        stored = load(next(checkpoint / name for name in OPTIMIZERS if (checkpoint / name).is_file()))
        self.groups: list[dict[str, Any]] = [
            {name: value for name, value in group.items() if name != "params"} for group in stored["param_groups"]
        ]
        self._folder = checkpoint
        counted = [group["params"] for group in stored["param_groups"]]
        if any(isinstance(key, int) for keys in counted for key in keys):
            self._check_sizes([len(keys) for keys in counted], [len(names) for names in groups])
            named = {key: name for keys, names in zip(counted, groups) for key, name in zip(keys, names)}
        else:
            named = {key: bare(key) for keys in counted for key in keys}
        self._kept = {name: stored["state"].get(key, {}) for key, name in named.items()}

    def _check_sizes(self, theirs: list[int], ours: list[int]) -> None:
        if theirs != ours:
            raise UserError(
                f"{self._folder} does not fit this run: its optimizer's groups are of {theirs} parameters, this one's "
                f"of {ours}"
            )

    @cached_property
    def names(self) -> dict[str, tuple[Path, str]]:
        """Where each weight is: its file, and its name there."""
        return {bare(name): (file, name) for file in weight_files(self._folder) for name in names_in(file)}

    def weight(self, name: str) -> Tensor:
        file, stored = self.names[name]
        with safe_open(file, "pt") as weights:
            return weights.get_tensor(stored)

    def kept(self, name: str) -> dict[str, Any]:
        return self._kept.get(name, {})


def weight_files(folder: Path) -> list[Path]:
    """List the files of whole weights in a folder; none where it has none in safetensors."""
    index = folder / INDEX
    if index.is_file():
        return [folder / name for name in sorted(set(json.loads(index.read_bytes())["weight_map"].values()))]
    return [folder / name for name in WEIGHTS if (folder / name).is_file()]


def names_in(file: Path) -> list[str]:
    """Read the names of the weights in a file.

    Raises:
        UserError: It is damaged.
    """
    try:
        with safe_open(file, "pt") as weights:
            return list(weights.keys())
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file}: damaged ({first_line(error)})") from error


def names_of(name: str) -> tuple[str, ...]:
    """Return what a weight of a model in training may be called in a file of weights."""
    return (bare(name), ADAPTER.sub("", bare(name)))
