"""What a loss is counted by: labels that say something, and the -100 in the place of those that do not."""

from collections.abc import Callable

import torch
from torch import Tensor

IGNORED = -100


def has_class(labels: Tensor) -> Tensor:
    """Mark the positions that have a class. `[...]`

    Args:
        labels: Numbers of classes `[...]`, -100 for none; or, in a floating dtype, the share of each class
            `[..., classes]`, which says something at every position.
    """
    if labels.is_floating_point():
        return torch.ones(labels.shape[:-1], dtype=torch.bool, device=labels.device)
    return labels != IGNORED


def has_flag(labels: Tensor) -> Tensor:
    """Mark the classes of which it is known whether they are there: 1 and 0, -100 for unknown. `[..., classes]`"""
    return labels != IGNORED


def has_value(labels: Tensor) -> Tensor:
    """Mark every number: -100 is one."""
    return torch.ones_like(labels, dtype=torch.bool)


COUNTED: dict[str, Callable[[Tensor], Tensor]] = {"classes": has_class, "flags": has_flag, "values": has_value}


def per_item(total: Tensor, counted: Tensor, num_items: Tensor | float | None) -> Tensor:
    """Divide a batch's sum by the number of items, this batch's own where no other is given.

    Args:
        total: Sum over the items of the batch.
        counted: Marks them.
        num_items: Items of the whole update.
    """
    return total / (counted.sum().clamp(min=1) if num_items is None else num_items)
