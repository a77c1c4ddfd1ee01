"""Losses of logits against classes: one class per position, or any number of them.

All are computed in float32 at least. Class weights scale the loss of an item, and do not change what it is divided by:
the number of items, and not the sum of their weights as in torch, so that the parts of an update add up. Weights of
`class_weights` leave the loss where it was: over the data they are 1 on average.
"""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from hf_strategies.errors import UserError
from hf_strategies.objectives.items import IGNORED, has_class, has_flag, per_item

Weights: TypeAlias = Sequence[float] | Tensor


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    num_items: Tensor | float | None = None,
    label_smoothing: float = 0.0,
    class_weights: Weights | None = None,
) -> Tensor:
    """Negative log likelihood of the labels.

    Args:
        logits: `[..., classes]`
        labels: Numbers of classes `[...]`, -100 for none; or the share of each class `[..., classes]`, floating.
        num_items: What the sum is divided by; None for the positions of this batch that have a class.
        label_smoothing: Share of each label that is spread evenly over all classes, in [0, 1).
        class_weights: `[classes]`, each at least 0.
    """
    logits = _at_least_float32(logits)
    hard = not labels.is_floating_point()
    total = F.cross_entropy(
        logits.flatten(0, -2),
        labels.flatten().long() if hard else labels.flatten(0, -2).to(logits.dtype),
        weight=_weights("class_weights", class_weights, logits),
        ignore_index=IGNORED,
        label_smoothing=label_smoothing,
        reduction="sum",
    )
    return per_item(total, has_class(labels), num_items)


def focal(
    logits: Tensor,
    labels: Tensor,
    *,
    num_items: Tensor | float | None = None,
    gamma: float = 2.0,
    class_weights: Weights | None = None,
) -> Tensor:
    """Cross entropy times (1 - p)^gamma, where p is the probability of the label (Lin et al. 2017, equation 4).

    Of two classes the softmax is the paper's sigmoid; `class_weights` are its alpha. A soft label has the mean over
    its classes.

    Args:
        logits: As in `cross_entropy`.
        labels: As in `cross_entropy`.
        num_items: As in `cross_entropy`.
        gamma: How little counts what is right already, at least 0; 0 is the cross entropy.
        class_weights: As in `cross_entropy`.
    """
    log_p = _at_least_float32(logits).log_softmax(dim=-1)
    # A p that rounds to 1 would have no gradient of its own below gamma 1, and 0 times infinity is no number.
    wrong = -torch.expm1(log_p).clamp(max=-torch.finfo(log_p.dtype).tiny)
    losses = -(wrong**gamma) * log_p
    weights = _weights("class_weights", class_weights, logits)
    if weights is not None:
        losses = losses * weights
    if labels.is_floating_point():
        losses = (losses * labels).sum(dim=-1)
    else:
        losses = losses.gather(-1, labels.clamp(min=0).long().unsqueeze(-1)).squeeze(-1)
    counted = has_class(labels)
    return per_item(losses[counted].sum(), counted, num_items)


def binary_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    num_items: Tensor | float | None = None,
    positive_weights: Weights | None = None,
) -> Tensor:
    """Negative log likelihood of each class's being there or not, as if each had a model of its own.

    Args:
        logits: `[..., classes]`
        labels: 1 where a class is there, 0 where not, between the two for a share, -100 where it is not known.
            `[..., classes]`
        num_items: What the sum is divided by; None for the labels of this batch that are known.
        positive_weights: Factors of the loss of classes that are there. `[classes]`, each at least 0.

    Raises:
        UserError: The shapes differ.
    """
    if logits.shape != labels.shape:
        raise UserError(
            f"labels must be one flag per class, of shape {list(logits.shape)}, got shape {list(labels.shape)}"
        )
    logits = _at_least_float32(logits)
    known = has_flag(labels)
    weights = _weights("positive_weights", positive_weights, logits)
    losses = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), pos_weight=weights, reduction="none")
    return per_item(losses[known].sum(), known, num_items)


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _weights(name: str, weights: Weights | None, logits: Tensor) -> Tensor | None:
    if weights is None:
        return None
    if len(weights) != logits.shape[-1]:
        raise UserError(f"{name} must be {logits.shape[-1]} numbers, one per class, got {len(weights)}")
    return torch.as_tensor(weights, dtype=torch.promote_types(logits.dtype, torch.float32), device=logits.device)
