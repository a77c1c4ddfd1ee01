"""Bases whose frozen weights take a byte or half of one each, with adapters on top."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from peft import prepare_model_for_kbit_training
from torch import Tensor, nn
from transformers import BitsAndBytesConfig, PreTrainedModel, TorchAoConfig
from transformers.utils.quantization_config import QuantizationConfigMixin, QuantizationMethod

from hf_strategies.adapters.settings import check_quantization
from hf_strategies.adapters.shelf import QUANTIZATIONS
from hf_strategies.errors import UserError, first_line


@dataclass(frozen=True, kw_only=True)
class BasePlan:
    """What a quantized base is to be.

    Args:
        device: Where it will be.
        compute_dtype: What matrices are multiplied in: the run's precision.
        keep: Names of modules that stay as they are: at least those that will be trained, `layers_outside_blocks`.
    """

    device: torch.device
    compute_dtype: torch.dtype
    keep: list[str]


def quantization_config(name: str, base: BasePlan) -> QuantizationConfigMixin:
    """Build what `from_pretrained(quantization_config=...)` takes, from the name on the shelf.

    Raises:
        UserError: The name is unknown, its package is not installed, or it does not run on this device.
    """
    check_quantization(name)
    return QUANTIZATIONS[name].build(base)


def int8(base: BasePlan) -> BitsAndBytesConfig:
    """Keep a scale per row, and multiply activations above 6 in half precision (LLM.int8())."""
    from bitsandbytes.functional import int8_vectorwise_quant

    _try("int8", base.device, lambda rows: int8_vectorwise_quant(rows.half()))
    return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=base.keep)


def nf4(base: BasePlan) -> BitsAndBytesConfig:
    """Keep a scale per 64 weights, itself in 8 bits: about 4.1 bits per weight."""
    from bitsandbytes.functional import quantize_4bit

    _try("nf4", base.device, lambda rows: quantize_4bit(rows, quant_type="nf4"))
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=base.compute_dtype,
        llm_int8_skip_modules=base.keep,
    )


def torchao_int8(base: BasePlan) -> TorchAoConfig:
    """Keep a scale per row; activations stay as they are."""
    from torchao.quantization import Int8WeightOnlyConfig

    return TorchAoConfig(Int8WeightOnlyConfig(), modules_to_not_convert=base.keep)


def quantization_of(model: PreTrainedModel) -> str | None:
    """Return the name of what quantized a model as it was loaded, the host's own where the shelf has none; or None."""
    if not getattr(model, "is_quantized", False):
        return None
    config = model.config.quantization_config
    if config.quant_method == QuantizationMethod.BITS_AND_BYTES:
        return "nf4" if config.load_in_4bit else "int8"
    return "torchao_int8" if config.quant_method == QuantizationMethod.TORCHAO else str(config.quant_method)


def prepare_quantized(model: PreTrainedModel) -> None:
    """Freeze a quantized base, in place, and make it fit for training with evaluations in between.

    Raises:
        UserError: It was evaluated before.
    """
    check_not_packed(model)
    prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)  # the run's setting decides on that
    for module in model.modules():
        # Where a CPU has bf16 instructions, bitsandbytes would pack 4-bit weights at the first evaluation into a
        # layout that has no gradients: what is below in the network would stop learning, without a word.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    # It warns of a cast at every layer and step.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)


def check_not_packed(model: nn.Module) -> None:
    """Refuse 4-bit weights in a layout for evaluation on a CPU, which neither trains nor merges.

    Raises:
        UserError: There are some.
    """
    states = (getattr(getattr(module, "weight", None), "quant_state", None) for module in model.modules())
    if any(getattr(state, "packing_format_for_cpu", False) for state in states):
        raise UserError(
            "4-bit weights were packed for evaluation on this CPU, and can be neither trained nor merged: load the "
            "model again, and add its adapter before it is evaluated"
        )


def _try(name: str, device: torch.device, quantize: Callable[[Tensor], Any]) -> None:
    """Quantize something small, to hear now what loading would say after minutes."""
    try:
        quantize(torch.ones(64, 64, device=device))
    except Exception as error:  # a library that does not load, a kernel that is missing
        raise UserError(
            f"quantization {name!r} does not run on this machine's {device.type}: {first_line(error)}; torchao_int8 "
            "runs wherever torch does: pip install 'hf_strategies[quantization]'"
        ) from error
