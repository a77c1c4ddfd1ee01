"""Where a process stands in a pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hf_strategies.distributed.parallel_sizes import asked_parallel_sizes


@dataclass(frozen=True)
class Place:
    """A process' stage and replica, as DeepSpeed numbers them: the replicas of one stage stand side by side.

    Args:
        rank: Of the process.
        stages: Number of stages.
        replicas: Number of pipelines that each see samples of their own.
        partition: How a model is cut into the stages, as DeepSpeed's `pipeline.partition` says it.
    """

    rank: int
    stages: int
    replicas: int
    partition: str = "parameters"

    @property
    def stage(self) -> int:
        return self.rank // self.replicas

    @property
    def replica(self) -> int:
        return self.rank % self.replicas


def asked_place(settings: Mapping[str, Any] | None, *, rank: int) -> Place | None:
    """Return where a process stands; None where no pipeline is asked for.

    Args:
        settings: DeepSpeed's; None where it is not asked for.
        rank: Of the process.

    Raises:
        UserError: The processes do not divide.
    """
    sizes = asked_parallel_sizes(settings or {})
    if settings is None or sizes.pipeline == 1:
        return None
    partition = (settings.get("pipeline") or {}).get("partition", Place.partition)
    return Place(rank, sizes.pipeline, sizes.data, str(partition))
