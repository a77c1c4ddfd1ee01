"""Which precisions the launcher and DeepSpeed's file leave open.

Nothing here imports torch: a command line asks before any library is loaded.
"""

import os
from collections.abc import Mapping
from typing import Any

SHORTENED = ("bf16", "fp16")  # the precisions that are a setting of their own; without either it is float32


def open_precisions(deepspeed_config: Mapping[str, Any] | None) -> tuple[str, ...]:
    """List the precisions that a run may still choose; one alone is fixed.

    Args:
        deepspeed_config: DeepSpeed's settings, which then decide; None where it is not asked for.
    """
    if deepspeed_config is None:
        fixed = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
        return ("float32", *SHORTENED) if fixed == "no" else (fixed,)  # "no" is also what it is where nobody chose
    enabled = {name: (deepspeed_config.get(name) or {}).get("enabled", "auto") for name in SHORTENED}
    for name, value in enabled.items():
        if value is True:
            return (name,)
    return ("float32", *(name for name, value in enabled.items() if value is not False))
