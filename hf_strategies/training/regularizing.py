"""Trainer whose loss has terms of its own besides the model's, or the objective's."""

from typing import Any

import torch
from torch import Tensor, nn

from hf_strategies.errors import UserError
from hf_strategies.objectives import OBJECTIVES
from hf_strategies.objectives.consistency import symmetric_divergence
from hf_strategies.objectives.items import has_class
from hf_strategies.objectives.z_loss import squared_log_normalizers
from hf_strategies.ranges import POSITIVE
from hf_strategies.training.objective import ObjectiveMixin


class RegularizingMixin(ObjectiveMixin):
    """Add to the training loss what keeps a model in bounds; evaluations go without.

    With `r_drop` a micro-batch passes through the model twice under its dropout. The loss is half of the paper's, so
    that it keeps its size: the mean of both, and half of `r_drop` times their symmetric divergence. It doubles the
    time of a step and the memory of activations.

    Args:
        z_loss: Factor of the mean squared log of the softmax's normaliser; 1e-4 is typical.
        r_drop: Weight of the divergence between two passes (the paper's alpha: 1 to 5).

    Raises:
        UserError: A factor is not above 0, the objective's labels are no classes, or the model's own loss has a scale
            that the terms have not (see ObjectiveMixin); while training, the model shows
            no logits, the data have no classes, or nothing is dropped.
    """

    _has_dropped = False

    def __init__(
        self,
        *args: Any,
        z_loss: float | None = None,
        r_drop: float | None = None,
        objective: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.z_loss, self.r_drop = z_loss, r_drop
        for name, value in self._terms().items():
            if not POSITIVE[0](value):
                raise UserError(f"{name} must be {POSITIVE[1]}, got {value!r}")
            if objective is not None and OBJECTIVES[objective].facts["items"] != "classes":
                raise UserError(f"{name} needs one class per row or token, which the objective {objective!r} has not")
        super().__init__(*args, objective=objective, **kwargs)
        if self._terms() and objective is None:
            self._check_scale()

    def _check_scale(self) -> None:
        """Refuse terms beside a loss that the host makes larger, by as much as nobody can tell."""
        splits = self.args.gradient_accumulation_steps * self.args.world_size
        grows = self.model_accepts_loss_kwargs and not self._predicts_next and self.compute_loss_func is None
        if grows and splits > 1:
            raise UserError(
                f"{' and '.join(self._terms())}: the loss of {type(self.model).__name__} may grow with the number of "
                f"micro-batches and ranks, here {splits}, and would drown it: name an objective, such as cross_entropy"
            )

    def _terms(self) -> dict[str, float]:
        given = {"z_loss": self.z_loss, "r_drop": self.r_drop}
        return {name: value for name, value in given.items() if value is not None}

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        compute, terms = super().compute_loss, self._terms()
        if not terms or not model.training:
            return compute(model, inputs, return_outputs, num_items_in_batch)
        asked_by = " and ".join(terms)
        counted = self._counted_classes(self._labels(inputs.get("labels"), asked_by), asked_by)
        passes = [compute(model, dict(inputs), True, num_items_in_batch) for _ in range(2 if self.r_drop else 1)]
        logits = [self._sources(self._logits(outputs, asked_by)) for _, outputs in passes]
        divisor = self._divisor(counted, num_items_in_batch)
        loss = torch.stack([loss for loss, _ in passes]).mean(dim=0)
        if self.z_loss is not None:
            sums = [squared_log_normalizers(one, counted) for one in logits]
            loss = loss + self.z_loss * torch.stack(sums).mean() / divisor
        if self.r_drop is not None:
            self._check_dropout(*logits)
            loss = loss + self.r_drop / 2 * symmetric_divergence(logits[0], logits[1], counted) / divisor
        return (loss, passes[0][1]) if return_outputs else loss

    def _counted_classes(self, labels: Tensor, asked_by: str) -> Tensor:
        if self.objective_name is None and labels.is_floating_point():
            raise UserError(
                f"{asked_by} needs labels that are classes, got {labels.dtype}: for shares name an objective"
            )
        return has_class(self._targets(labels))

    def _divisor(self, counted: Tensor, num_items: Tensor | int | None) -> Tensor | float:
        """Return what the loss is divided by."""
        if num_items is None or not (self.model_accepts_loss_kwargs or self.compute_loss_func is not None):
            return counted.sum().clamp(min=1)
        ranks = 1
        if self.args.average_tokens_across_devices:
            ranks = self.accelerator.num_processes // self.get_tp_size()
        return num_items / ranks

    def _check_dropout(self, first: Tensor, second: Tensor) -> None:
        """Refuse, once, to compare two passes that are one and the same."""
        if not self._has_dropped and torch.equal(first, second):
            raise UserError(
                f"r_drop compares two passes under dropout, and {type(self.model).__name__} drops nothing: give its "
                "config a dropout (hidden_dropout_prob, attention_dropout, resid_pdrop, ...) or leave r_drop out"
            )
        self._has_dropped = True
