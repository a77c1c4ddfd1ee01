"""AdaLoRA's penalty on factors that are not orthogonal, which peft adds to a model's own loss alone."""

from typing import Any

import torch
from peft import PeftType
from torch import Tensor


def orthogonality_penalty(model: Any) -> Tensor | None:
    """Return the mean distance of an AdaLoRA adapter's factors from orthogonal ones, times its weight.

    Zhang et al. 2023, section 3.1; by the norm and not by its square, as peft has it.

    Args:
        model: Any; without such an adapter there is nothing to return.
    """
    config = getattr(model, "active_peft_config", None)
    if config is None or config.peft_type != PeftType.ADALORA or not config.orth_reg_weight:
        return None
    products = [
        factor @ factor.T if "lora_A" in name else factor.T @ factor
        for name, factor in model.named_parameters()
        if ("lora_A" in name or "lora_B" in name) and f".{model.active_adapter}" in name
    ]
    distances = [torch.linalg.norm(product - torch.eye(len(product)).to(product)) for product in products]
    return config.orth_reg_weight * torch.stack(distances).mean()
