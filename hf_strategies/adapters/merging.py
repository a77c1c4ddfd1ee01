"""An adapter made part of the weights it adapts."""

import torch
from peft import PeftModel, PeftType, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.utils import ModulesToSaveWrapper
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from hf_strategies.adapters.quantization import check_not_packed, quantization_of
from hf_strategies.errors import UserError, first_line


def merge_adapter(model: PeftModel) -> PreTrainedModel:
    """Return the plain model that computes what the adapted one does; it takes the place of the adapted one.

    A quantized base is turned into floating point first, with the values that training saw: a merged weight would not
    survive another rounding. That costs the memory of the base in full precision.

    Raises:
        UserError: The adapter puts tokens before the input, which no weight can hold; or the base cannot be turned
            back.
    """
    config = model.peft_config[model.active_adapter]
    if config.is_prompt_learning:
        kind = PeftType(config.peft_type).value.lower()
        raise UserError(f"{kind} puts tokens before the input and cannot be merged: keep base and adapter apart")
    quantized = quantization_of(model.get_base_model()) is not None
    if quantized:
        model = _dequantized(model)
    _take_heads(model.get_base_model())
    merged = model.merge_and_unload()
    if quantized:
        _restore_transposed(merged)
    return merged


def _dequantized(model: PeftModel) -> PeftModel:
    """Put a model's adapter on the same base in floating point."""
    check_not_packed(model)
    name = model.active_adapter
    config, weights = model.peft_config[name], get_peft_model_state_dict(model, adapter_name=name)
    _take_heads(model.get_base_model())
    try:
        base = model.unload().dequantize()
    except Exception as error:  # a method without a way back
        raise UserError(f"the quantized base cannot be merged into: {first_line(error)}") from error
    plain = get_peft_model(base, config, adapter_name=name)
    set_peft_model_state_dict(plain, weights, adapter_name=name)
    return plain


def _restore_transposed(model: PreTrainedModel) -> None:
    """Give GPT-2 back its own kind of linear layer, which quantization has replaced: its files hold it transposed."""
    with torch.device("meta"):
        sketch = type(model)(model.config)
    for name, module in sketch.named_modules():
        linear = model.get_submodule(name) if isinstance(module, Conv1D) else None
        if isinstance(linear, nn.Linear):
            layer = Conv1D(linear.out_features, linear.in_features)
            layer.weight, layer.bias = nn.Parameter(linear.weight.detach().T.contiguous()), linear.bias
            model.set_submodule(name, layer)


def _take_heads(base: PreTrainedModel) -> None:
    """Put the trained heads into their places; peft's own way, for ia3, knows heads of a single layer alone."""
    for name, module in list(base.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):
            trained = module.unload_and_optionally_merge_module(merge=True, safe_merge=False, adapter_names=None)
            base.set_submodule(name, trained)
