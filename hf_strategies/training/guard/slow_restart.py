"""A learning rate that is lower for some updates, whatever schedule sets it."""

from typing import Any

from torch.optim import Optimizer


class SlowRestart:
    """Scale the rates of an optimizer while it steps, and only then: its schedule never sees it.

    Args:
        optimizer: The one that moves the weights, unwrapped.
        factor: What the rates are multiplied by.
        updates: How many updates this lasts; `begin_update` counts them.
    """

    def __init__(self, optimizer: Optimizer, factor: float, updates: int) -> None:
        self.factor = factor
        self.updates = updates
        self._rates: list[Any] = []
        self._hooks = [
            optimizer.register_step_pre_hook(self._slow_down),
            optimizer.register_step_post_hook(self._restore),
        ]

    def begin_update(self) -> bool:
        """Count an update; False, and no effect on it or any later one, where there have been enough."""
        self.updates -= 1
        if self.updates < 0:
            self.cancel()
        return self.updates >= 0

    def cancel(self) -> None:
        """Leave the optimizer alone from here on."""
        for hook in self._hooks:
            hook.remove()

    def _slow_down(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._rates = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * self.factor

    def _restore(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        for group, rate in zip(optimizer.param_groups, self._rates):
            group["lr"] = rate
