"""What `torch.distributed.checkpoint` has written for FSDP2: shards with an index, which any number of ranks reads."""

import warnings
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from hf_strategies.checkpoints.weight_files import bare
from hf_strategies.errors import UserError, first_line

MODEL = "pytorch_model_fsdp_0"
OPTIMIZER = "optimizer_0"


class ShardedState:
    """The state in a checkpoint of FSDP2 with sharded state dicts; a `TrainingState`.

    Args:
        checkpoint: Its folder.

    Raises:
        UserError: It is damaged.
    """

    loss_scale: float | None = None

    def __init__(self, checkpoint: Path) -> None:
        self._model = Shards(checkpoint / MODEL)
        self._folder = checkpoint

    @cached_property
    def _optimizer(self) -> "Shards":
        return Shards(self._folder / OPTIMIZER)

    @cached_property
    def groups(self) -> list[dict[str, Any]]:
        paths = [path for path in self._optimizer.paths if path[1] == "param_groups" and path[3] != "params"]
        found: list[dict[str, Any]] = [{} for _ in range(max((int(path[2]) + 1 for path in paths), default=0))]
        for path in paths:
            found[int(path[2])][path[3]] = self._optimizer.read(path)
        return found

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        return {bare(path[1]): path for path in self._model.paths}

    def weight(self, name: str) -> Tensor:
        return self._model.read(self.names[name])

    def kept(self, name: str) -> dict[str, Any]:
        return {path[3]: self._optimizer.read(path) for path in self._states.get(name, [])}

    @cached_property
    def _states(self) -> dict[str, list[tuple[str, ...]]]:
        found: dict[str, list[tuple[str, ...]]] = {}
        for path in self._optimizer.paths:
            if path[1] == "state":
                found.setdefault(bare(path[2]), []).append(path)
        return found


class Shards:
    """A folder of `torch.distributed.checkpoint`, read entry by entry in one process.

    Args:
        folder: The one with `.metadata`.

    Raises:
        UserError: It is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._reader = dcp.FileSystemReader(folder)
        try:
            metadata = self._reader.read_metadata()
        except Exception as error:  # whatever a pickle may raise
            raise UserError(f"{folder}: damaged, or not there ({first_line(error)[:100]})") from error
        self._entries: Mapping[str, Any] = metadata.state_dict_metadata
        places = metadata.planner_data or {}
        self.paths: dict[tuple[str, ...], str] = {tuple(map(str, path)): key for key, path in places.items()}

    def read(self, path: tuple[str, ...]) -> Any:
        """Read the whole of one entry."""
        key = self.paths[path]
        entry = self._entries[key]
        wanted = {key: None}
        if isinstance(entry, TensorStorageMetadata):
            wanted[key] = torch.empty(entry.size, dtype=entry.properties.dtype)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # so it is meant to be
            dcp.load(wanted, storage_reader=self._reader, no_dist=True)
        return wanted[key]
