"""Losses of predicted numbers against the true ones, in float32 at least."""

import torch
from torch import Tensor
from torch.nn import functional as F

from hf_strategies.errors import UserError
from hf_strategies.objectives.items import has_value, per_item


def mean_squared_error(logits: Tensor, labels: Tensor, *, num_items: Tensor | float | None = None) -> Tensor:
    """Mean of the squared errors.

    Args:
        logits: Predictions `[...]`, or `[..., 1]` as a model's head gives them.
        labels: `[...]`
        num_items: What the sum is divided by; None for the number of labels here.

    Raises:
        UserError: The shapes differ.
    """
    predictions, labels = _paired(logits, labels)
    return per_item(F.mse_loss(predictions, labels, reduction="sum"), has_value(labels), num_items)


def huber(logits: Tensor, labels: Tensor, *, num_items: Tensor | float | None = None, delta: float = 1.0) -> Tensor:
    """Half the squared error up to an error of `delta`, and beyond that a straight line with the slope there.

    Args:
        logits: As in `mean_squared_error`.
        labels: As in `mean_squared_error`.
        num_items: As in `mean_squared_error`.
        delta: Error from which on the loss is straight, above 0, in the labels' unit.

    Raises:
        UserError: The shapes differ.
    """
    predictions, labels = _paired(logits, labels)
    return per_item(F.huber_loss(predictions, labels, delta=delta, reduction="sum"), has_value(labels), num_items)


def _paired(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    if logits.ndim == labels.ndim + 1 and logits.shape[-1] == 1:
        logits = logits.squeeze(-1)
    if logits.shape != labels.shape:  # torch would pair each prediction with every label
        raise UserError(
            f"labels must be one number per prediction, of shape {list(logits.shape)}, got shape {list(labels.shape)}"
        )
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits.to(dtype), labels.to(dtype)
