"""Trainer that logs the loss of each source of a mixture."""

from typing import Any

import torch
from torch import Tensor, nn

from hf_strategies.data.mixed_blocks import SOURCE, MixedBlocks
from hf_strategies.metrics.language_modeling import next_token_nll
from hf_strategies.training.host import Host


class SourceLossMixin(Host):
    """Log `loss_<name>`, in nats per token since the log before, of the sources of `MixedBlocks` that were read.

    Cost: the loss is computed a second time from the logits, without a gradient.
    """

    _nats_and_tokens: Tensor | None = None  # [sources, 2]

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        if SOURCE not in inputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        source = inputs[SOURCE]
        inputs = {name: value for name, value in inputs.items() if name != SOURCE}
        labels = inputs["labels"]
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        with torch.no_grad():
            rows = next_token_nll(outputs["logits"].detach(), labels)
            if self._nats_and_tokens is None:
                self._nats_and_tokens = rows.new_zeros(len(self._source_names()), 2)
            self._nats_and_tokens.index_add_(0, source, rows)
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs and isinstance(self.train_dataset, MixedBlocks):
            found = self._nats_and_tokens
            if found is None:  # a pipeline's last stage alone computes losses, and all take part in adding them up
                found = torch.zeros(len(self._source_names()), 2, device=self.args.device)
            total = self.accelerator.reduce(found, reduction="sum")
            for name, (nats, tokens) in zip(self._source_names(), total.tolist(), strict=True):
                if tokens:
                    logs[f"loss_{name}"] = nats / tokens
            self._nats_and_tokens = None
        super().log(logs, start_time)

    def _source_names(self) -> list[str]:
        assert isinstance(self.train_dataset, MixedBlocks)
        return list(self.train_dataset.sources)
