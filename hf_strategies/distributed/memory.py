"""How much memory this machine has left for a run."""

from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")  # a container's own limits, where it has any


def available_memory(*, use_cpu: bool, cgroup: Path = CGROUP) -> int:
    """Return the free bytes: of the first GPU where one is used, else of the machine or, if it is less, the container.

    Args:
        use_cpu: Whether a GPU is left alone, if there is one.
        cgroup: Where the container's limits stand.
    """
    if not use_cpu and torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    import psutil  # accelerate brings it

    free = psutil.virtual_memory().available
    try:
        limit, used = (int((cgroup / name).read_text(encoding="utf-8")) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no such file, or "max"
        return free
    return min(free, max(limit - used, 0))
