"""How the processes of a job share its work: stages, parts of a tensor, parts of a sequence, replicas.

Nothing here imports torch: the size of an update is worked out before any library is loaded.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hf_strategies.distributed.deepspeed_settings import asked_deepspeed
from hf_strategies.distributed.ranks import world_size
from hf_strategies.errors import UserError


@dataclass(frozen=True)
class ParallelSizes:
    """The number of processes, and of those that work on one replica of the data together.

    Args:
        world: Processes of the whole job.
        pipeline: Stages that a model is split into.
        tensor: Parts that each matrix is split into.
        context: Parts that each sequence is split into.

    Raises:
        UserError: The processes do not divide into replicas.
    """

    world: int
    pipeline: int = 1
    tensor: int = 1
    context: int = 1

    def __post_init__(self) -> None:
        if self.world % self.per_replica:
            splits = {"pipeline": self.pipeline, "tensor": self.tensor, "context": self.context}
            asked = " x ".join(f"{name} {size}" for name, size in splits.items() if size > 1)
            above = -(-self.world // self.per_replica) * self.per_replica
            raise UserError(
                f"{self.world} processes do not divide into replicas of {self.per_replica} ({asked}): "
                f"start {above} of them (--num_processes), or change the sizes"
            )

    @property
    def per_replica(self) -> int:
        """Processes that see the same samples."""
        return self.pipeline * self.tensor * self.context

    @property
    def data(self) -> int:
        """Replicas: processes, or groups of them, that each have samples of their own."""
        return self.world // self.per_replica


def asked_parallel_sizes(deepspeed_config: Mapping[str, Any] | None = None) -> ParallelSizes:
    """Read the sizes that the launcher's environment and DeepSpeed's file ask for.

    Args:
        deepspeed_config: DeepSpeed's settings; None reads the launcher's file, if there is one.

    Raises:
        UserError: The processes do not divide, a size is no whole number of at least 1, or the file cannot be read.
    """
    settings = (asked_deepspeed() if deepspeed_config is None else deepspeed_config) or {}
    return ParallelSizes(
        world_size(),
        pipeline=_of_deepspeed(settings, "pipeline", "stages"),
        tensor=_of_deepspeed(settings, "tensor_parallel", "autotp_size") * _of_launcher("TP"),
        context=_of_launcher("CP") * _of_launcher("SP"),  # the host's two ways to split a sequence
    )


def data_replicas(args: Any) -> int:
    """Count the replicas that share the samples of a run.

    Args:
        args: The host's `TrainingArguments`, which know the processes that there are, asked for or not.
    """
    return replace(asked_parallel_sizes(asked_deepspeed(args.deepspeed)), world=args.world_size).data


def _of_launcher(name: str) -> int:
    if os.environ.get("ACCELERATE_USE_PARALLELISM_CONFIG", "false").lower() != "true":
        return 1
    name = f"PARALLELISM_CONFIG_{name}_SIZE"
    return _size(name, os.environ.get(name, 1))


def _of_deepspeed(settings: Mapping[str, Any], block: str, name: str) -> int:
    given = settings.get(block) or {}
    if not isinstance(given, Mapping):
        raise UserError(f"DeepSpeed's {block!r} must be an object, got {given!r}")
    return _size(f"DeepSpeed's {block}.{name}", given.get(name, 1))


def _size(name: str, given: Any) -> int:
    if not str(given).isdigit() or int(given) < 1:
        raise UserError(f"{name} must be a whole number of at least 1, got {given!r}")
    return int(given)
