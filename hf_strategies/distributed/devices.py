"""Peak rates of devices, the denominator of model FLOPs utilisation (MFU)."""

import re
import time
from dataclasses import dataclass

import torch

# Dense peaks in TFLOP/s, without sparsity, accumulating in fp32. "tf32" is what fp32 matrix products use where torch
# was allowed to.
# V100: https://images.nvidia.com/content/technologies/volta/pdf/volta-v100-datasheet-update-us-1165301-r5.pdf
# T4: https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/tesla-t4/t4-tensor-core-datasheet-951643.pdf
# A100: https://www.nvidia.com/en-us/data-center/a100/      A10: https://www.nvidia.com/en-us/data-center/products/a10-gpu/
# L4: https://www.nvidia.com/en-us/data-center/l4/          L40S: https://www.nvidia.com/en-us/data-center/l40s/
# H100: https://www.nvidia.com/en-us/data-center/h100/ (PCIe: its product brief)
# H200: https://www.nvidia.com/en-us/data-center/h200/
# RTX 3090: https://www.nvidia.com/content/PDF/nvidia-ampere-ga-102-gpu-architecture-whitepaper-v2.1.pdf
# RTX 4090: https://images.nvidia.com/aem-dam/Solutions/geforce/ada/nvidia-ada-gpu-architecture.pdf
# MI300X: https://www.amd.com/en/products/accelerators/instinct/mi300/mi300x.html
PEAK_TFLOPS = {
    "V100-SXM2": {"float32": 15.7, "float16": 125.0},
    "Tesla T4": {"float32": 8.1, "float16": 65.0},
    "A100": {"float32": 19.5, "tf32": 156.0, "float16": 312.0, "bfloat16": 312.0},
    "A10": {"float32": 31.2, "tf32": 62.5, "float16": 125.0, "bfloat16": 125.0},
    "L4": {"float32": 30.3, "tf32": 60.0, "float16": 121.0, "bfloat16": 121.0},
    "L40S": {"float32": 91.6, "tf32": 183.0, "float16": 362.0, "bfloat16": 362.0},
    "H100 80GB HBM3": {"float32": 67.0, "tf32": 494.7, "float16": 989.4, "bfloat16": 989.4},
    "H100 PCIe": {"float32": 51.0, "tf32": 378.0, "float16": 756.0, "bfloat16": 756.0},
    "H200": {"float32": 67.0, "tf32": 494.7, "float16": 989.4, "bfloat16": 989.4},
    "RTX 3090": {"float32": 35.6, "tf32": 35.6, "float16": 71.0, "bfloat16": 71.0},
    "RTX 4090": {"float32": 82.6, "tf32": 82.6, "float16": 165.2, "bfloat16": 165.2},
    "MI300X": {"float32": 163.4, "tf32": 653.7, "float16": 1307.4, "bfloat16": 1307.4},
}
# What may follow a name without making it another device: "A100-SXM4-80GB" is an A100, "RTX 4090 D" no RTX 4090.
SAME_DEVICE = re.compile(r"( (\d+GB|SXM\d?|PCIe|OAM))*", re.IGNORECASE)


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


def datasheet_flops_per_second(device_name: str, precision: str) -> float | None:
    """Look up a device's dense peak.

    Args:
        device_name: As `torch.cuda.get_device_name` gives it.
        precision: "float32", "tf32", "float16" or "bfloat16".

    Returns:
        FLOP/s, or None for a device or precision that the table does not have. A slice of a device (MIG) and a near
        namesake (A10G, L40, a laptop's) are not in it.
    """
    words = f" {device_name.replace('-', ' ')}"
    for name, peaks in PEAK_TFLOPS.items():
        _, found, rest = words.partition(f" {name.replace('-', ' ')}")
        if found and SAME_DEVICE.fullmatch(rest):
            return peaks[precision] * 1e12 if precision in peaks else None
    return None


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
