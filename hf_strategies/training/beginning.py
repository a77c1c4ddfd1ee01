"""Trainer that remembers, once for each update, what its forward and backward passes are going to change."""

from typing import Any

import torch
from torch import Tensor, nn

from hf_strategies.module_tree.buffers import saved_buffers
from hf_strategies.training.host import Host
from hf_strategies.training.random_streams import RandomStreams

_Place = tuple[dict[str, Any], str]  # a module's table of buffers, and a name in it


class Beginning:
    """What a forward and backward pass change, as it is before an update; weights and optimizer they leave alone.

    Args:
        trainer: It trains.
        buffers: Where those of the model's buffers are that a checkpoint holds.
    """

    def __init__(self, trainer: Any, buffers: list[_Place]) -> None:
        self.random = RandomStreams(torch.device(trainer.args.device))
        self._tokens = trainer.state.num_input_tokens_seen
        self._flos = trainer.current_flos
        self._loss = trainer._tr_loss.clone()
        self._buffers = [(place, place[0][place[1]].clone()) for place in buffers]

    def restore(self, trainer: Any) -> None:
        """Put everything back, as if the update had not begun."""
        self.random.restore()
        trainer.state.num_input_tokens_seen = self._tokens
        trainer.current_flos = self._flos
        self.undo(trainer)

    @torch.no_grad()
    def undo(self, trainer: Any) -> None:
        """Take back what the passes have done to the loss since the last log, and to the model's statistics."""
        trainer._tr_loss.copy_(self._loss)
        for (table, name), kept in self._buffers:
            table[name].copy_(kept)


class BeginningMixin(Host):
    """Keep the `Beginning` of the update that is under way, for whoever has to take it back."""

    _beginning: Beginning | None = None  # None between updates
    _statistics: list[_Place]  # found once: walking through a model takes long

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> tuple:
        prepared = super()._prepare_for_training(*args, **kwargs)
        self._beginning, self._statistics = (
            None,
            [(module._buffers, name) for _, module, name in saved_buffers(self.model)],
        )
        return prepared

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        if self._beginning is None:
            self._begin_update()
        return super().training_step(model, inputs, num_items_in_batch)

    def _begin_update(self) -> None:
        self._beginning = Beginning(self, self._statistics)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        self._beginning = None
        super()._maybe_log_save_evaluate(*args, **kwargs)
