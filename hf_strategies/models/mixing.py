"""How a model mixes the tokens of a row, and by which code: attention, a scan, a recurrence, convolutions."""

import importlib.util
from typing import Any

import torch
from transformers import PretrainedConfig

from hf_strategies.errors import UserError

SCANS = ("mamba", "mamba2")
SCAN_PACKAGES = {"mamba_ssm": "mamba-ssm", "causal_conv1d": "causal-conv1d"}  # by the name of their module
RECURRENCE_PACKAGES = {"kernels": "kernels", "ninja": "ninja"}


def describe_mixing(config: PretrainedConfig) -> str:
    """Say in a few words what mixes tokens, by which code, and what would do it faster; empty where it is not known.

    The host takes the kernels of a package that is installed by itself, and plain torch where it is not.
    """
    if attends(config):
        return f"{config._attn_implementation} attention"
    if config.model_type in SCANS:
        return f"scan {_by_kernels(SCAN_PACKAGES)}"
    if config.model_type == "rwkv":
        return f"recurrence {_by_kernels(RECURRENCE_PACKAGES)}"
    return "convolutions by FFT" if config.model_type == "hyena" else ""


def attends(config: PretrainedConfig) -> bool:
    """Tell whether a model has attention, as far as its config says."""
    return bool(config.sub_configs or getattr(config, "num_attention_heads", None))


def check_attention(config: PretrainedConfig, attn_implementation: str | None) -> None:
    """Raise a `UserError` if an attention was chosen for a model that has none."""
    if attn_implementation is not None and not attends(config):
        raise UserError(f"attn_implementation {attn_implementation}: a {config.model_type} has no attention")


def _by_kernels(packages: dict[str, Any]) -> str:
    missing = [name for module, name in packages.items() if importlib.util.find_spec(module) is None]
    if not missing and torch.cuda.is_available():
        return f"by the kernels of {' and '.join(packages.values())}"
    if not torch.cuda.is_available():
        return "in plain torch: its kernels need a GPU"
    return f"in plain torch; pip install {' '.join(missing)} for kernels"
