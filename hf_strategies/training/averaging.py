"""Trainer that evaluates and saves averaged weights, where a callback keeps them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from transformers.trainer_utils import TrainOutput

from hf_strategies.callbacks.averages_file import holds_averages
from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
from hf_strategies.errors import UserError
from hf_strategies.training.returning import ReturningMixin


class AveragingMixin(ReturningMixin):
    """Put the average in the weights' place for every evaluation and save, whoever asks for it, and only for that.

    What it consists of is written into checkpoints before they are whole, and read back by a resume and by the guard.

    Raises:
        UserError: When training begins: there are two averages, or none for a checkpoint that has one.
    """

    def _prepare_for_training(
        self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: str | None
    ) -> tuple:
        prepared = super()._prepare_for_training(max_steps, train_dataloader, resume_from_checkpoint)
        checkpoint = None if resume_from_checkpoint is None else Path(resume_from_checkpoint)
        averagings = self._averagings()
        if len(averagings) > 1:
            raise UserError(
                f"the model can be one average of its weights, got {len(averagings)}: leave all out but one"
            )
        if checkpoint is not None and not averagings and holds_averages(checkpoint):
            raise UserError(
                f"the model in {checkpoint} is an average of its weights: go on with the same averaging "
                "(WeightAveragingCallback), or start a new run from that model"
            )
        for averaging in averagings:
            averaging.drive(checkpoint)
        return prepared

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        with self._averages_in_place():
            return super().evaluate(*args, **kwargs)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        with self._averages_in_place():
            super()._save_checkpoint(model, trial)

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        for averaging in self._averagings():
            averaging.save(Path(output_dir), self.args)

    def _return_to_checkpoint(self, checkpoint: Path) -> None:
        super()._return_to_checkpoint(checkpoint)
        for averaging in self._averagings():
            averaging.load(checkpoint, self.args)
            averaging.take_out()

    def _finalize_training(self, *args: Any, **kwargs: Any) -> TrainOutput:
        for averaging in self._averagings():  # for good; the host may load the best average over it
            averaging.put_in()
        return super()._finalize_training(*args, **kwargs)

    @contextmanager
    def _averages_in_place(self) -> Iterator[None]:
        with ExitStack() as stack:
            for averaging in self._averagings():
                stack.enter_context(averaging.in_place())
            yield

    def _averagings(self) -> list[WeightAveragingCallback]:
        return [item for item in self.callback_handler.callbacks if isinstance(item, WeightAveragingCallback)]
