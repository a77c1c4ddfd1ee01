"""The ways in which one and the same run is spread over processes and micro-batches."""

from dataclasses import dataclass

GLOBAL_BATCH = 8  # sequences per update, of every run


@dataclass(frozen=True)
class Spread:
    """One way.

    Args:
        name: In the table.
        micro_batch: Sequences that one replica takes at once.
        machine: Stem of the file in accelerate_configs/; empty for a process that nothing launches.
        processes: Of the run.
        stages: Of a pipeline; so many processes hold one replica.
        shards_on_cpu: Whether FSDP2 shards the model, which accelerate refuses to do on a CPU.
    """

    name: str
    micro_batch: int
    machine: str = ""
    processes: int = 1
    stages: int = 1
    shards_on_cpu: bool = False

    @property
    def accumulation(self) -> int:
        """Micro-batches per update."""
        return GLOBAL_BATCH // (self.micro_batch * self.processes // self.stages)

    def __str__(self) -> str:
        replicas = self.processes // self.stages
        return f"{self.name}, {self.micro_batch} x {self.accumulation} x {replicas}"


REFERENCE = Spread("1 process", micro_batch=8)
SPREADS = (
    Spread("1 process", micro_batch=2),
    Spread("1 process", micro_batch=1),
    Spread("DDP", micro_batch=4, machine="ddp", processes=2),
    Spread("DDP", micro_batch=1, machine="ddp", processes=2),
    Spread("ZeRO-1", micro_batch=2, machine="zero1", processes=2),
    Spread("ZeRO-2", micro_batch=2, machine="zero2", processes=2),
    Spread("ZeRO-3", micro_batch=2, machine="zero3", processes=2),
    Spread("FSDP2", micro_batch=2, machine="ddp", processes=2, shards_on_cpu=True),
    Spread("pipeline of 2", micro_batch=2, machine="pipeline", processes=2, stages=2),
    Spread("pipeline of 2", micro_batch=2, machine="pipeline", processes=4, stages=2),
)
