"""Build a named optimizer from a whole model, the way `Trainer` asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hf_strategies.errors import UserError
from hf_strategies.optimizers.hyperparameters import check_optimizer_settings, check_ranges
from hf_strategies.optimizers.shelf import OPTIMIZERS

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


def create_optimizer(name: str, model: nn.Module, *, lr: float, weight_decay: float = 0.0, **hyper: Any) -> Optimizer:
    """Build the optimizer called `name` over the trainable parameters of `model`.

    Norms, biases and other vectors are never decayed.

    Args:
        name: Name on the shelf.
        model: The whole model, wrapped or not; its parameters where they will be trained.
        lr: Learning rate.
        weight_decay: Decoupled decay: a step shrinks a weight by `lr * weight_decay`.
        hyper: Other settings of this optimizer.

    Raises:
        UserError: The name or a setting is unknown, a value is out of range, or nothing in `model` is trainable.
    """
    check_ranges(lr=lr, weight_decay=weight_decay)
    check_optimizer_settings(name, hyper)
    from hf_strategies.optimizers.param_groups import split_by_decay, split_matrices  # needs torch

    entry = OPTIMIZERS[name]
    split = split_matrices if entry.facts["matrix_half"] else split_by_decay
    groups = split(model, weight_decay)
    if not groups:
        raise UserError(
            f"optimizer {name!r} has nothing to train: every parameter of {type(model).__name__} is frozen"
        )
    return entry.build(groups, lr=lr, **hyper)


class OptimizerFactory:
    """Adapter for `Trainer(optimizer_cls_and_kwargs=(OptimizerFactory, {"name": ..., "lr": ...}))`.

    Trainer instantiates any class but an Optimizer that it is given there, then calls the instance with the model,
    which is why this works under FSDP and DeepSpeed where `optimizers=` does not.
    """

    def __call__(self, model: nn.Module, *, name: str, **hyper: Any) -> Optimizer:
        return create_optimizer(name, model, **hyper)
