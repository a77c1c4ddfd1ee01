"""Trainer with more ways to clip a gradient, and with gradients taken uphill of the weights or of the examples."""

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from hf_strategies.callbacks.schedule_free import ScheduleFreeCallback, has_modes
from hf_strategies.optimizers.clipping import clip_grads_adaptively_, clip_grads_by_value_, find_units
from hf_strategies.training.adversarial import adversarial_pass
from hf_strategies.training.gradient_options import GradientOptions, sharding_of
from hf_strategies.training.host import Host
from hf_strategies.training.sharpness_aware import sharpness_aware_pass


class GradientsMixin(Host):
    """Clip gradients by value or by unit, take them uphill too, and let a schedule-free optimizer's average be seen.

    Args:
        clip_grad_value: Clip each element of a gradient to this size, in the place of `max_grad_norm`.
        adaptive_clipping: Clip each unit's gradient to this share of its weights' norm, in the place of
            `max_grad_norm`; 0.01 is typical.
        sam_rho: Minimise the loss this far uphill instead (sharpness-aware minimisation, at twice the cost of a
            step); 0.05 is typical.
        fgm_epsilon: Learn each example again with its embeddings moved this far uphill (the fast gradient method, at
            twice the cost of a step); the loss that is logged is that of the examples as they are.

    Raises:
        UserError: A setting is out of range, or does not go with another one or with the host's sharding.
    """

    def __init__(
        self,
        *args: Any,
        clip_grad_value: float | None = None,
        adaptive_clipping: float | None = None,
        sam_rho: float | None = None,
        fgm_epsilon: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.gradient_options = GradientOptions(clip_grad_value, adaptive_clipping, sam_rho, fgm_epsilon)
        self._clipped_model: nn.Module | None = None
        self._units: list[tuple[nn.Parameter, int]] = []
        super().__init__(*args, **kwargs)
        self.gradient_options.check_host(self.args.max_grad_norm, sharding_of(self))

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        optimizer = super().create_optimizer(model)
        callbacks = self.callback_handler.callbacks
        if has_modes(optimizer) and not any(isinstance(callback, ScheduleFreeCallback) for callback in callbacks):
            self.add_callback(ScheduleFreeCallback())
        return optimizer

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        backward = partial(super().training_step, model, inputs, num_items_in_batch)
        rho, epsilon = self.gradient_options.sam_rho, self.gradient_options.fgm_epsilon
        if epsilon is not None:
            alone = partial(self.accelerator.no_sync, model)
            backward = partial(adversarial_pass, self.model, backward, epsilon=epsilon, alone=alone)
        if rho is None:
            return backward()
        params = [param for param in model.parameters() if param.requires_grad]
        return sharpness_aware_pass(params, backward, rho=rho, alone=self.accelerator.no_sync(model))

    def _clip_grad_norm(self, model: nn.Module) -> Tensor | None:
        return None if self.gradient_options.clips() else super()._clip_grad_norm(model)

    def _get_grad_norm(self, model: nn.Module, grad_norm: Tensor | None = None) -> Tensor | float | None:
        """Return the norm of the whole gradient; what else clips it comes after, and sees it without fp16's scale."""
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        options = self.gradient_options
        if options.clip_grad_value is not None:
            clip_grads_by_value_(model, options.clip_grad_value)
        if options.adaptive_clipping is not None:
            if self._clipped_model is not model:  # finding them takes longer than clipping a small model
                self._clipped_model, self._units = model, find_units(model)
            clip_grads_adaptively_(self._units, options.adaptive_clipping)
        return norm
