"""Where a process stands in a pipeline."""

from dataclasses import dataclass

from hf_strategies.distributed.parallel_sizes import ParallelSizes


@dataclass(frozen=True)
class Place:
    """A process' stage and replica, as DeepSpeed numbers them: the replicas of one stage stand side by side.

    Args:
        rank: Of the process.
        stages: Number of stages.
        replicas: Number of pipelines that each see samples of their own.
    """

    rank: int
    stages: int
    replicas: int

    @classmethod
    def of(cls, rank: int, sizes: ParallelSizes) -> "Place":
        return cls(rank, sizes.pipeline, sizes.data)

    @property
    def stage(self) -> int:
        return self.rank // self.replicas

    @property
    def replica(self) -> int:
        return self.rank % self.replicas

    @property
    def is_first(self) -> bool:
        return self.stage == 0

    @property
    def is_last(self) -> bool:
        return self.stage == self.stages - 1
