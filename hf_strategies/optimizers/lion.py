"""Lion: step along the sign of an interpolated momentum.

Paper: https://arxiv.org/abs/2302.06675 (Algorithm 2). State: one buffer per parameter.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer

from hf_strategies.optimizers.alike import group_alike
from hf_strategies.optimizers.hyperparameters import check_ranges


def lion_update_(
    param: Tensor, grad: Tensor, momentum: Tensor, *, lr: float, betas: tuple[float, float], weight_decay: float
) -> None:
    """Apply one update in place to `param` and `momentum`; `grad` is left as it was.

    All three tensors share one shape. Weight decay is decoupled: it scales with `lr`.

    Args:
        param: What is trained.
        grad: Its gradient.
        momentum: Running mean of its gradients.
        lr: Learning rate, the size of the step in every coordinate.
        betas: Weight of the momentum in the step, and its decay rate.
        weight_decay: Decoupled decay.
    """
    beta_step, beta_track = betas
    direction = torch.lerp(grad, momentum, beta_step).sign_()
    param.mul_(1.0 - lr * weight_decay).add_(direction, alpha=-lr)
    momentum.lerp_(grad, 1.0 - beta_track)


def lion_updates_(
    params: list[Tensor],
    grads: list[Tensor],
    momenta: list[Tensor],
    *,
    lr: float,
    betas: tuple[float, float],
    weight_decay: float,
) -> None:
    """Apply `lion_update_` to lists of tensors that are alike, in a few kernels for all of them."""
    beta_step, beta_track = betas
    directions = torch._foreach_lerp(grads, momenta, beta_step)
    torch._foreach_sign_(directions)
    torch._foreach_mul_(params, 1.0 - lr * weight_decay)
    torch._foreach_add_(params, directions, alpha=-lr)
    torch._foreach_lerp_(momenta, grads, 1.0 - beta_track)


class Lion(Optimizer):
    """Stateful shell around `lion_update_`.

    Raises:
        UserError: A value is out of range.
    """

    def __init__(
        self, params, lr: float, *, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
    ) -> None:
        check_ranges(lr=lr, betas=betas, weight_decay=weight_decay)
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            hyper = {key: group[key] for key in ("lr", "betas", "weight_decay")}
            params = [param for param in group["params"] if param.grad is not None]
            for param in params:
                if not self.state[param]:
                    self.state[param]["momentum"] = torch.zeros_like(param)
            for alike in group_alike(params):
                tensors = alike, [param.grad for param in alike], [self.state[param]["momentum"] for param in alike]
                if alike[0].device.type == "cpu":  # where one after another is faster: a tensor stays in the cache
                    for param, grad, momentum in zip(*tensors, strict=True):
                        lion_update_(param, grad, momentum, **hyper)
                else:
                    lion_updates_(*tensors, **hyper)
        return loss
