"""Trainer whose loss has terms of its own besides the model's."""

from typing import Any

from torch import Tensor, nn
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from hf_strategies.errors import UserError
from hf_strategies.objectives.z_loss import IGNORED, squared_log_normalizers
from hf_strategies.ranges import POSITIVE
from hf_strategies.training.host import Host


class RegularizingMixin(Host):
    """Add to the training loss what keeps a model in bounds; evaluations keep the model's own loss.

    Args:
        z_loss: Factor of the mean squared log of the softmax's normaliser; 1e-4 is typical.

    Raises:
        UserError: The factor is not above 0, or, while training, the model shows no logits.
    """

    def __init__(self, *args: Any, z_loss: float | None = None, **kwargs: Any) -> None:
        if z_loss is not None and not POSITIVE[0](z_loss):
            raise UserError(f"z_loss must be {POSITIVE[1]}, got {z_loss!r}")
        self.z_loss = z_loss
        super().__init__(*args, **kwargs)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        if self.z_loss is None or not model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels = inputs.get("labels")
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        logits = outputs["logits"] if isinstance(outputs, dict) and "logits" in outputs else None
        if logits is None or labels is None:
            raise UserError(f"z_loss needs logits and labels, and {type(self.model).__name__} has not both")
        if type(self.accelerator.unwrap_model(model)).__name__ in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
            logits, labels = logits[..., :-1, :], labels[..., 1:]
        count, ranks = (labels != IGNORED).sum().clamp(min=1), 1
        if self.model_accepts_loss_kwargs and num_items_in_batch is not None:  # the model's loss is divided by these
            count = num_items_in_batch
            if self.args.average_tokens_across_devices:
                ranks = self.accelerator.num_processes // self.get_tp_size()
        loss = loss + self.z_loss * ranks * squared_log_normalizers(logits, labels) / count
        return (loss, outputs) if return_outputs else loss
