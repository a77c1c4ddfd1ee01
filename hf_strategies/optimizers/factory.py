"""Build a named optimizer from a whole model, the way `Trainer` asks for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hf_strategies.errors import UserError
from hf_strategies.optimizers.group_spec import check_group_settings, parse_group_spec
from hf_strategies.optimizers.hyperparameters import check_optimizer_settings, check_ranges
from hf_strategies.optimizers.shelf import OPTIMIZERS
from hf_strategies.ranges import LEARNING_RATE

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


def create_optimizer(
    name: str,
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float = 0.0,
    param_groups: Mapping[str, Any] | None = None,
    **hyper: Any,
) -> Optimizer:
    """Build the optimizer called `name` over the trainable parameters of `model`.

    Norms, biases and other vectors are not decayed.

    Args:
        name: Name on the shelf.
        model: The whole model, wrapped or not; its parameters where they will be trained.
        lr: Learning rate.
        weight_decay: Decoupled decay: a step shrinks a weight by `lr * weight_decay`.
        param_groups: How rates and decay differ between parameters: the fields of `GroupSpec`, with `rules` a list of
            mappings of the fields of `GroupRule`.
        hyper: Other settings of this optimizer.

    Raises:
        UserError: The name or a setting is unknown, a value is out of range, nothing in `model` is trainable,
            `param_groups` do not fit it, or a step would decay all of a weight.
    """
    check_ranges(lr=lr, weight_decay=weight_decay)
    check_optimizer_settings(name, hyper)
    entry = OPTIMIZERS[name]
    adamw_lr = hyper.pop("adamw_lr", None) if entry.facts["matrix_half"] else None
    groups = resolve_param_groups(
        name, model, lr=lr, weight_decay=weight_decay, adamw_lr=adamw_lr, param_groups=param_groups
    )
    optimizer = entry.build(groups, lr=lr, **hyper)
    _check_ownership(name, model, optimizer)
    _check_decay(optimizer)
    return optimizer


def resolve_param_groups(
    name: str,
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float = 0.0,
    adamw_lr: float | None = None,
    param_groups: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Make the groups that `create_optimizer` would build the optimizer from, of a model on the meta device too.

    Args:
        name: Name on the shelf.
        model: The whole model.
        lr: Learning rate.
        weight_decay: Decoupled decay.
        adamw_lr: Learning rate of what the matrix half does not take; as `lr` if None.
        param_groups: How rates and decay differ between parameters.

    Raises:
        UserError: `param_groups` are wrong, or do not fit the model, or make a rate absurd, or nothing trains.
    """
    check_group_settings(name, param_groups)
    from hf_strategies.optimizers.param_groups import create_param_groups  # needs torch

    rest = (lr if adamw_lr is None else adamw_lr) if OPTIMIZERS[name].facts["matrix_half"] else None
    spec = parse_group_spec(param_groups)
    groups = create_param_groups(model, spec, optimizer=name, lr=lr, weight_decay=weight_decay, adamw_lr=rest)
    holds, expected = LEARNING_RATE
    for group in groups:
        if not holds(group["lr"]):
            raise UserError(f"the learning rate of group {group['name']!r} must be {expected}, got {group['lr']}")
    return groups


def _check_ownership(name: str, model: nn.Module, optimizer: Optimizer) -> None:
    """Refuse an optimizer that would leave something untrained, or train it twice in a step."""
    owned = Counter(param for group in optimizer.param_groups for param in group["params"])
    for param_name, param in model.named_parameters():
        if param.requires_grad and owned[param] != 1:
            raise UserError(f"optimizer {name!r} owns {param_name} {owned[param]} times, expected once")


def _check_decay(optimizer: Optimizer) -> None:
    """Refuse a decay that would not shrink weights but turn their signs: all that was learned."""
    for group in optimizer.param_groups:
        share = group["lr"] * group.get("weight_decay", 0.0)
        if share >= 1:
            raise UserError(
                f"weight_decay of group {group['name']!r} must take less than all of a weight in a step, "
                f"got {share:g} of it at the rate {group['lr']:g}"
            )


class OptimizerFactory:
    """Adapter for `Trainer(optimizer_cls_and_kwargs=(OptimizerFactory, {"name": ..., "lr": ...}))`.

    Trainer instantiates any class but an Optimizer that it is given there, then calls the instance with the model,
    which is why this works under FSDP and DeepSpeed where `optimizers=` does not.
    """

    def __call__(self, model: nn.Module, *, name: str, **hyper: Any) -> Optimizer:
        return create_optimizer(name, model, **hyper)
