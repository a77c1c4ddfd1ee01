"""What a run cost, and on which rows it was scored: what it takes to compare it with another."""

import sys

import torch

from hf_strategies.data.labelled import Sides

HEX_DIGITS = 12  # of a digest, which JSON's numbers hold without loss


def describe_costs(sides: Sides, device: torch.device, *, trained: int) -> dict[str, float]:
    """Return what results say besides scores and times.

    Args:
        sides: The rows.
        device: On which the model ran.
        trained: Number of the parameters that learned.
    """
    return {
        "trained_parameters": trained,
        "peak_memory_bytes": peak_memory(device),
        "validation_fingerprint": fingerprint(sides),
    }


def fingerprint(sides: Sides) -> int:
    """Return the identity of the validation rows as a number, which is what results are made of."""
    return int(sides.validation_identity[:HEX_DIGITS], 16)


def peak_memory(device: torch.device) -> int:
    """Return the most memory so far, in bytes: on a CUDA device that of tensors, else that of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        import psutil  # accelerate brings it

        return psutil.Process().memory_info().peak_wset
    import resource  # of POSIX

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux
