"""Trainer that saves where it is before it passes an error on."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import TrainerControl
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, TrainOutput

from hf_strategies.errors import TrainingDivergedError, first_line
from hf_strategies.training.beginning import BeginningMixin


class RescuingMixin(BeginningMixin):
    """When training ends in an error, save the state after its last whole update, then let the error go on.

    The checkpoint is as good as one that was asked for: what an unfinished update has changed is put back. There is
    none where the optimizer had begun to move the weights, where training diverged, where a search has ended a trial
    (it does so by an error), and where several ranks train: a save takes all of them, and this one cannot know what
    became of the others.
    """

    control: TrainerControl
    _is_whole = False  # whether the weights are those after an update, and neither before the first nor on the move

    def train(self, *args: Any, **kwargs: Any) -> TrainOutput:
        self._is_whole = False
        try:
            return super().train(*args, **kwargs)
        except Exception as error:
            is_wanted = not isinstance(error, TrainingDivergedError) and self.hp_search_backend is None
            if self._is_whole and is_wanted:
                if self._beginning is not None:
                    self._beginning.restore(self)
                self._rescue(error)
            raise
        finally:
            self._is_whole = False

    def _get_grad_norm(self, model: nn.Module, grad_norm: Tensor | None = None) -> Tensor | float | None:
        self._is_whole = False  # the last that is called before the optimizer moves
        return super()._get_grad_norm(model, grad_norm=grad_norm)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        self._is_whole = self.args.world_size == 1 and not self.is_deepspeed_enabled
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def _rescue(self, error: Exception) -> None:
        step = self.state.global_step
        try:
            self._save_checkpoint(self.model_wrapped, None)
            self.control = self.callback_handler.on_save(self.args, self.state, self.control)
            is_saved = Path(self._get_output_dir(None), f"{PREFIX_CHECKPOINT_DIR}-{step}").is_dir()
            what = "whose checkpoint is saved" if is_saved else "which could not be saved"
            said = f"training ended in an error after update {step}, {what}"
        except Exception as failure:  # of any kind: the error that ended training is the one to be told
            said = f"training ended in an error, and update {step} could not be saved: {first_line(failure)}"
        print(f"WARNING   {said}; the error: {type(error).__name__}: {first_line(error)}", flush=True)
