"""What a parameter is when DeepSpeed has taken it apart."""

import math

import torch
from torch import nn


def full_shape(param: nn.Parameter) -> torch.Size:
    """Shape of the whole parameter; ZeRO-3 leaves `param.data` empty and keeps the shape in `ds_shape`."""
    return getattr(param, "ds_shape", param.shape)


def num_parameters(model: nn.Module, *, trained_only: bool = False) -> int:
    """Count the parameters of a whole model, whatever of it is on this rank; tied weights count once."""
    params = [param for param in model.parameters() if param.requires_grad or not trained_only]
    return sum(math.prod(full_shape(param)) for param in params)
