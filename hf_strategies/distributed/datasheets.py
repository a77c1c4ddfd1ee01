"""Peak rates of devices as their makers state them; nothing here imports torch."""

import re

from hf_strategies.errors import UserError, did_you_mean

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


def find_device(text: str) -> str:
    """Return the device in the table that a user means: the first whose name has all the words, "H100" or "rtx 4090".

    Raises:
        UserError: There is none.
    """
    wanted = set(text.lower().replace("-", " ").split())
    for name in PEAK_TFLOPS:
        if wanted <= set(name.lower().replace("-", " ").split()):
            return name
    raise UserError(f"unknown GPU {text!r}{did_you_mean(text, PEAK_TFLOPS)} (known: {', '.join(PEAK_TFLOPS)})")
