"""Which weights train: adapters by name, quantized bases, freezing. What is named here does not import torch."""

from hf_strategies.adapters.learning_rate import adapter_learning_rate
from hf_strategies.adapters.settings import check_adapter_settings, check_quantization
from hf_strategies.adapters.shelf import ADAPTERS, QUANTIZATIONS

__all__ = ["ADAPTERS", "QUANTIZATIONS", "adapter_learning_rate", "check_adapter_settings", "check_quantization"]
