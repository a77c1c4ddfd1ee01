"""Clipping of gradients besides that of the whole gradient's norm.

Adaptive clipping: no unit's gradient may be large beside the unit's own weights. Paper:
https://arxiv.org/abs/2102.06171 (section 4.1). Cost: a norm of each weight and of each gradient.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from hf_strategies.optimizers.alike import group_alike


def clip_grads_by_value_(model: nn.Module, limit: float) -> None:
    """Bring, in place, every element of a gradient into [-limit, limit]; shards may stand beside whole gradients."""
    params = [param for param in model.parameters() if param.grad is not None]
    for alike in group_alike(params):  # torch takes one kind at a time
        clip_grad_value_(alike, limit)


def find_units(model: nn.Module) -> list[tuple[nn.Parameter, int]]:
    """Pair the parameters that adaptive clipping is for with the dimension of their units.

    The output head is left alone, as in the paper.

    Args:
        model: The whole model, wrapped or not, its parameters where they will be trained.
    """
    spared = head_parameters(model)
    outputs_last = {module.weight for module in model.modules() if isinstance(module, Conv1D)}
    return [(param, 1 if param in outputs_last else 0) for param in model.parameters() if param not in spared]


@torch.no_grad()
def clip_grads_adaptively_(units: Iterable[tuple[nn.Parameter, int]], ratio: float, *, eps: float = 1e-3) -> None:
    """Shrink, in place, the gradients of those units whose norm is above `ratio` of their weights' norm.

    Args:
        units: As `find_units` found them; gradients are those of a whole update, and not scaled for fp16.
        ratio: Largest norm of a unit's gradient, as a share of its weights' norm; 0.01 is typical.
        eps: Smallest norm that weights are taken to have, so that a unit of zeros can learn.
    """
    for param, unit_dim in units:
        if param.grad is not None:
            clip_units_(param.grad, param, ratio=ratio, unit_dim=unit_dim, eps=eps)


def clip_units_(grad: Tensor, weight: Tensor, *, ratio: float, unit_dim: int, eps: float) -> None:
    """Shrink each unit of `grad` in place to at most `ratio` times the norm of the same unit of `weight`.

    Args:
        grad: Gradient of `weight`.
        weight: A unit is what one index along `unit_dim` selects; a vector is one unit as a whole.
        ratio: Largest norm of a unit's gradient, as a share of its weights' norm.
        unit_dim: Dimension along which the outputs of a linear map lie.
        eps: Smallest norm that weights are taken to have.
    """
    bound = _unit_norms(weight, unit_dim).clamp(min=eps).mul(ratio)
    norm = _unit_norms(grad, unit_dim)
    grad.mul_(torch.where(norm > bound, bound / norm, 1.0))


def _unit_norms(tensor: Tensor, unit_dim: int) -> Tensor:
    within = [dim for dim in range(tensor.ndim) if dim != unit_dim]  # none in a vector: all of it
    return torch.linalg.vector_norm(
        tensor, dim=within or None, keepdim=True, dtype=torch.promote_types(tensor.dtype, torch.float32)
    )


def head_parameters(model: nn.Module) -> set[nn.Parameter]:
    """Find the parameters of the output head: what the model names, or else its last linear layer.

    A model of transformers that is all body (ViTModel) has none.
    """
    named = [part.get_output_embeddings() for part in model.modules() if hasattr(part, "get_output_embeddings")]
    heads = [head for head in named if isinstance(head, nn.Module)]
    bodies = [part.base_model for part in model.modules() if isinstance(part, PreTrainedModel)]
    within = {layer for body in bodies for layer in body.modules()}
    linear = [part for part in model.modules() if isinstance(part, nn.Linear) and part not in within]
    return {param for head in heads or linear[-1:] for param in head.parameters()}
