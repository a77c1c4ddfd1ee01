"""Peak rates of devices, the denominator of model FLOPs utilisation (MFU)."""

import time
from dataclasses import dataclass

import torch

from hf_strategies.distributed.datasheets import datasheet_flops_per_second


@dataclass(frozen=True)
class PeakRate:
    """The most that one device can do.

    Args:
        flops_per_second: FLOP/s in the precision asked for.
        measured: True where it is this machine's own rate in a large matrix product, False where it is a data sheet's.
    """

    flops_per_second: float
    measured: bool


def peak_rate(device: torch.device, dtype: torch.dtype) -> PeakRate:
    """Return the peak of `device` for matrix products in `dtype`: from its data sheet, else measured (about 0.3 s)."""
    if device.type == "cuda":
        tf32 = dtype is torch.float32 and allows_tf32()
        precision = "tf32" if tf32 else str(dtype).removeprefix("torch.")
        datasheet = datasheet_flops_per_second(torch.cuda.get_device_name(device), precision)
        if datasheet is not None:
            return PeakRate(datasheet, measured=False)
    return PeakRate(measured_flops_per_second(device, dtype), measured=True)


def allows_tf32() -> bool:
    """Tell whether torch may multiply float32 matrices in TF32 on a GPU.

    Since torch 2.9 there are two settings of this, and reading the old one fails where the new one was set.
    """
    matmul = torch.backends.cuda.matmul
    return matmul.fp32_precision == "tf32" if hasattr(matmul, "fp32_precision") else matmul.allow_tf32


def measured_flops_per_second(device: torch.device, dtype: torch.dtype, *, seconds: float = 0.2) -> float:
    """Time large square matrix products for about `seconds` and return the best rate seen, in FLOP/s.

    The matrices are constant: no random number is drawn.
    """
    size = 1024 if device.type == "cpu" else 4096
    left = torch.full((size, size), 0.5, device=device, dtype=dtype)
    product = torch.empty_like(left)
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(left, left, out=product)
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best
