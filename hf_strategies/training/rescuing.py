"""Trainer that saves what is healthy before it passes an error on."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerControl
from transformers.trainer_utils import TrainOutput

from hf_strategies.errors import TrainingDivergedError, first_line
from hf_strategies.module_tree.buffers import saved_buffers
from hf_strategies.training.host import Host
from hf_strategies.training.random_streams import RandomStreams

_Place = tuple[dict[str, Any], str]  # a module's table of buffers, and a name in it


class RescuingMixin(Host):
    """When training ends in an error, save the state after its last whole update, then let the error go on.

    The checkpoint is as good as one that was asked for: what an unfinished update has changed is put back. There is
    none where the optimizer had begun to move the weights, where training diverged, and where several ranks train: a
    save takes all of them, and this one cannot know what became of the others.
    """

    control: TrainerControl
    _whole: "_Whole | None" = None  # of the last whole update; None while the next one moves the weights
    _saved_buffers: "list[_Place] | None" = None  # found once: walking through a model takes long

    def train(self, *args: Any, **kwargs: Any) -> TrainOutput:
        self._whole, self._saved_buffers = None, None
        try:
            return super().train(*args, **kwargs)
        except Exception as error:
            if self._whole is not None and not isinstance(error, TrainingDivergedError):
                self._whole.restore(self)
                self._rescue(error)
            raise
        finally:
            self._whole = None

    def _get_grad_norm(self, model: nn.Module, grad_norm: Tensor | None = None) -> Tensor | float | None:
        self._whole = None  # the last that is called before the optimizer moves
        return super()._get_grad_norm(model, grad_norm=grad_norm)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        asked = self.control.should_log or self.control.should_evaluate
        self._keep()
        super()._maybe_log_save_evaluate(*args, **kwargs)
        if asked:  # an evaluation draws random numbers, and a log begins a new mean
            self._keep()

    def _keep(self) -> None:
        if self.args.world_size == 1 and not self.is_deepspeed_enabled:
            if self._saved_buffers is None:
                self._saved_buffers = [(module._buffers, name) for _, module, name in saved_buffers(self.model)]
            self._whole = _Whole(self, self._saved_buffers)

    def _rescue(self, error: Exception) -> None:
        step = self.state.global_step
        try:
            self._save_checkpoint(self.model_wrapped, None)
            self.control = self.callback_handler.on_save(self.args, self.state, self.control)
            said = f"training ended in an error after update {step}, whose checkpoint is saved"
        except Exception as failure:  # of any kind: the error that ended training is the one to be told
            said = f"training ended in an error, and update {step} could not be saved: {first_line(failure)}"
        print(f"WARNING   {said}; the error: {type(error).__name__}: {first_line(error)}", flush=True)


class _Whole:
    """What a forward and backward pass change, as it is after a whole update; weights and optimizer they leave alone.

    Args:
        trainer: It trains.
        buffers: Where those of the model's buffers are that a checkpoint holds.
    """

    def __init__(self, trainer: Any, buffers: list[_Place]) -> None:
        self.random = RandomStreams(trainer.args.device)
        self.tokens = trainer.state.num_input_tokens_seen
        self.flos = trainer.current_flos
        self.loss = trainer._tr_loss.clone()
        self.buffers = [(place, place[0][place[1]].clone()) for place in buffers]

    @torch.no_grad()
    def restore(self, trainer: Any) -> None:
        self.random.restore()
        trainer.state.num_input_tokens_seen = self.tokens
        trainer.current_flos = self.flos
        trainer._tr_loss = self.loss
        for (table, name), kept in self.buffers:
            table[name].copy_(kept)
