"""What one process has written for all: weights in safetensors, and a pickle of the optimizer."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from hf_strategies.checkpoints.weight_files import bare, read_weight, stored_weights
from hf_strategies.checkpoints.zero_state import load
from hf_strategies.errors import UserError

OPTIMIZERS = ("optimizer.pt", "optimizer.bin")  # of replicas, and of FSDP with whole state dicts


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
        files = [checkpoint / name for name in OPTIMIZERS]
        stored = load(next(filter(Path.is_file, files), files[0]))
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
        """Where each weight is."""
        return stored_weights(self._folder)

    def weight(self, name: str) -> Tensor:
        return read_weight(*self.names[name])

    def kept(self, name: str) -> dict[str, Any]:
        return self._kept.get(name, {})
