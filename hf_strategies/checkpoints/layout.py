"""How many processes have written a checkpoint, and how they had shared what they trained; read off its files."""

from dataclasses import dataclass
from pathlib import Path

from hf_strategies.checkpoints.manifest import read_manifest
from hf_strategies.checkpoints.sharded_state import MODEL
from hf_strategies.checkpoints.zero_state import engine_folder, load, parts_of, stage_of

RANDOM = "rng_state*.pth"  # of each process
FSDP = "pytorch_model_fsdp*"
SHARDED_FSDP = "FSDP (sharded state)"


@dataclass(frozen=True)
class Layout:
    """Processes, and what each of them had.

    Args:
        engine: "DDP" (everything, also where there is but one process), "FSDP" and `SHARDED_FSDP` by what is written,
            "ZeRO-1", "ZeRO-2", "ZeRO-3", or "DeepSpeed" (without ZeRO).
        processes: Of the whole job.
        stages: Of a pipeline.
    """

    engine: str
    processes: int
    stages: int = 1

    def __str__(self) -> str:
        if self.processes == 1 and self.engine == "DDP":
            return "1 process"
        pipeline = f" in {self.stages} stages" if self.stages > 1 else ""
        return f"{self.processes} process{'es' * (self.processes > 1)} with {self.engine}{pipeline}"

    def loads(self, there: "Layout") -> bool:
        """Tell whether the host's loaders put a checkpoint of `there` into processes like these, as it is."""
        if self.engine.startswith("ZeRO"):
            return self == there
        return (self.engine, self.stages) == (there.engine, there.stages)


def layout_of(checkpoint: Path) -> Layout:
    """Find out how the processes had shared what is in a checkpoint.

    Raises:
        UserError: A file that says so is damaged.
    """
    processes = (read_manifest(checkpoint) or {}).get("world_size") or max(len(list(checkpoint.glob(RANDOM))), 1)
    if any(checkpoint.glob(FSDP)):
        return Layout(SHARDED_FSDP if (checkpoint / MODEL).is_dir() else "FSDP", processes)
    folder = engine_folder(checkpoint)
    if folder is None:
        return Layout("DDP", processes)
    stages = parts_of(folder)
    if not stages:
        return Layout("DeepSpeed", processes)
    part = next(iter(stages[min(stages)].values()))
    return Layout(f"ZeRO-{stage_of(load(part)['optimizer_state_dict'])}", processes, len(stages))
