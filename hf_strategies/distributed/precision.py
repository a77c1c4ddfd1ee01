"""What precision this machine computes in, and why."""

import torch

FAST_BF16_CPU = ("avx512_bf16", "amx_bf16")


def automatic_precision(*, use_cpu: bool = False) -> tuple[bool, str]:
    """Choose between bf16 autocast and float32 for a run that asks for neither.

    Weights, optimizer states and reductions stay in float32 either way; bf16 has float32's range, so it needs no loss
    scaling. The choice depends on the machine's instructions alone, never on a timing: a resumed run makes it again.

    Args:
        use_cpu: Ask for the CPU, whatever else is there.

    Returns:
        Whether to use bf16, and the reason in a few words.
    """
    if torch.cuda.is_available() and not use_cpu:
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return True, "this GPU multiplies in bf16"
        return False, "this GPU has no bf16 of its own; --fp16 is its fast precision"
    if torch.accelerator.is_available() and not use_cpu:
        return False, "bf16 is not known to be fast on this device"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    found = [name for name in FAST_BF16_CPU if capabilities.get(name)]
    if found:
        return True, f"this CPU has {found[0]}"
    return False, "this CPU has no bf16 instructions"


def why_refused(precision: str, *, use_cpu: bool = False, deepspeed: bool = False) -> str | None:
    """Say why this machine cannot train in a precision; None where it can, fast or not.

    Args:
        precision: "float32", "bf16" or "fp16".
        use_cpu: Ask for the CPU, whatever else is there.
        deepspeed: Ask for DeepSpeed's engine, which scales the loss of fp16 on a CPU as well.
    """
    if torch.accelerator.is_available() and not use_cpu:
        if precision == "bf16" and torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
            return "this GPU has no bf16; --fp16 is its fast precision"
        return None
    if precision != "fp16":
        return None
    if not deepspeed:
        return "it is for GPUs: on a CPU nothing scales its loss; --bf16 needs no scaling"
    if not torch.ops.mkldnn._is_mkldnn_fp16_supported():
        return "this CPU has no fp16 instructions; --bf16 works on any"
    return None
