"""z-loss: keep the softmax's normaliser near 1, so that logits cannot drift away together.

Paper: https://arxiv.org/abs/2204.02311 (section 5: 1e-4 times the square of log Z). Cost: a pass over the logits.
"""

import torch
from torch import Tensor


def squared_log_normalizers(logits: Tensor, counted: Tensor) -> Tensor:
    """Sum the squares of log Z over the positions that count.

    Args:
        logits: `[..., classes]`, of any floating dtype; the sum is taken in float32.
        counted: Marks the positions that have a target. `[...]`

    Returns:
        A number; divide it by the count that the loss is divided by.
    """
    log_z = torch.logsumexp(logits[counted].float(), dim=-1)
    return log_z.square().sum()
