"""How a job is spread over processes: what was asked for, and whether that is what runs.

Nothing here imports torch: what was asked for is known before any library is loaded.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hf_strategies.distributed.parallel_sizes import ParallelSizes, asked_parallel_sizes
from hf_strategies.errors import UserError

ALONE, DDP, DEEPSPEED, FSDP = "one process", "DDP", "DeepSpeed", "FSDP"

# What to do about an engine that does not run.
REMEDIES = {
    DDP: "start with distributed_type MULTI_GPU, which is DDP on a CPU, too",
    DEEPSPEED: "start with distributed_type DEEPSPEED, and without --cpu, such as accelerate_configs/zero2.yaml",
    FSDP: "it needs GPUs; on a CPU take accelerate_configs/zero3.yaml",
}


@dataclass(frozen=True)
class Machine:
    """How a job is spread.

    Args:
        engine: `ALONE`, `DDP`, `DEEPSPEED` or `FSDP`.
        sizes: Of what the processes share out.
        zero_stage: Of DeepSpeed.
    """

    engine: str
    sizes: ParallelSizes
    zero_stage: int = 0

    def __str__(self) -> str:
        sizes = self.sizes
        name = f"DeepSpeed ZeRO-{self.zero_stage}" if self.engine == DEEPSPEED else self.engine
        splits = {"pipeline": sizes.pipeline, "tensor": sizes.tensor, "context": sizes.context, "data": sizes.data}
        shared = " x ".join(f"{kind} {size}" for kind, size in splits.items() if size > 1 or kind == "data")
        processes = f", {sizes.world} processes" if self.engine != ALONE else ""
        return f"{name}{processes}{f' = {shared}' if sizes.per_replica > 1 else ''}"


def asked_machine(deepspeed_config: Mapping[str, Any] | None) -> Machine:
    """Read what the launcher and DeepSpeed's settings ask for.

    Args:
        deepspeed_config: DeepSpeed's settings; None where it is not asked for.

    Raises:
        UserError: The launcher was asked for several processes and has started one, or these do not divide.
    """
    if "MASTER_ADDR" in os.environ and "ACCELERATE_MIXED_PRECISION" in os.environ and "RANK" not in os.environ:
        raise UserError(
            "several processes were asked for (MASTER_ADDR is set), and the launcher has started one, as it does for "
            f"distributed_type MULTI_CPU: {REMEDIES[DDP]}; for one process unset MASTER_ADDR"
        )
    sizes = asked_parallel_sizes(deepspeed_config or {})
    if deepspeed_config is not None:
        return Machine(DEEPSPEED, sizes, (deepspeed_config.get("zero_optimization") or {}).get("stage", 0))
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        return Machine(FSDP, sizes)
    return Machine(ALONE if sizes.world == 1 else DDP, sizes)


def check_machine(asked: Machine, running: Machine) -> None:
    """Refuse to run on another machine than was asked for.

    Raises:
        UserError: It is another; says what was asked for, what runs, and what to do about it.
    """
    if asked == running:
        return
    if asked.engine != running.engine:
        remedy = REMEDIES.get(asked.engine, "unset WORLD_SIZE and RANK, or start with accelerate launch")
    elif asked.zero_stage != running.zero_stage:
        remedy = "leave one of --deepspeed and the launcher's file out"
    else:
        remedy = "the launcher's variables and the processes do not agree: start with accelerate launch or torchrun"
    raise UserError(f"asked for {asked}, but {running} runs: {remedy}")
