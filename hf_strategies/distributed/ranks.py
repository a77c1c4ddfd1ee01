"""Which process this is, as launchers say it in environment variables (torchrun, accelerate), and its cores.

Nothing here imports torch: a command line asks before any library is loaded, and before a process group exists.
"""

import os


def is_main_process() -> bool:
    """Tell whether this is rank 0 of the whole job; a process that no launcher started is."""
    return int(os.environ.get("RANK", 0)) == 0


def is_local_main_process() -> bool:
    """Tell whether this is the first of this job's processes on this machine."""
    return int(os.environ.get("LOCAL_RANK", 0)) == 0


def local_world_size() -> int:
    """Number of this job's processes on this machine; 1 without a launcher."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def world_size() -> int:
    """Number of processes of the whole job; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", 1))


def available_cores() -> int:
    """Number of cores that this process may use; a container often has fewer than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
