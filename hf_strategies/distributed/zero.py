"""What a parameter is when DeepSpeed has taken it apart."""

import torch
from torch import nn


def full_shape(param: nn.Parameter) -> torch.Size:
    """Shape of the whole parameter; ZeRO-3 leaves `param.data` empty and keeps the shape in `ds_shape`."""
    return getattr(param, "ds_shape", param.shape)
