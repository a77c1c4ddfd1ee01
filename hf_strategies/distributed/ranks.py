"""Which process this is, as launchers say it in environment variables, and its cores.

torchrun and accelerate set them all; on a TPU, torch_xla starts the processes of a host and has names of its own.
Nothing here imports torch: a command line asks before any library is loaded, and before a process group exists.
"""

import os

XLA_RANK, XLA_WORLD = "PJRT_LOCAL_PROCESS_RANK", "PJRT_LOCAL_PROCESS_COUNT"


def is_main_process() -> bool:
    """Tell whether this is rank 0 of the whole job; a process that no launcher started is."""
    return _read("RANK", XLA_RANK, 0) == 0


def is_local_main_process() -> bool:
    """Tell whether this is the first of this job's processes on this machine."""
    return _read("LOCAL_RANK", XLA_RANK, 0) == 0


def local_world_size() -> int:
    """Number of this job's processes on this machine; 1 without a launcher."""
    return _read("LOCAL_WORLD_SIZE", XLA_WORLD, 1)


def world_size() -> int:
    """Number of processes of the whole job; 1 without a launcher."""
    return _read("WORLD_SIZE", XLA_WORLD, 1)


def available_cores() -> int:
    """Number of cores that this process may use; a container often has fewer than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read(name: str, on_tpu: str, alone: int) -> int:
    return int(os.environ.get(name, os.environ.get(on_tpu, alone)))
