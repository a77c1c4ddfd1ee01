"""Trainer with an exact place in its data: an order that is a function, and checkpoints that count samples."""

import math
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader, Dataset, RandomSampler, Sampler, SequentialSampler
from transformers import TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, has_length

from hf_strategies.data.streaming import StreamingBlocks
from hf_strategies.errors import UserError
from hf_strategies.training.feed.balanced_order import BalancedOrder, ClassBalance
from hf_strategies.training.feed.order import ShuffledOrder
from hf_strategies.training.feed.position import Feed, Position, check_global_batch, samples_done, updates_to
from hf_strategies.training.feed.stream import SeekableStream
from hf_strategies.training.host import Host


class SeekingMixin(Host):
    """Draw samples in an order that is a pure function, write down how many were seen, and resume by seeking there.

    Args:
        balance: The samples' classes and how often each is drawn; None draws every sample once in an epoch.

    Raises:
        UserError: The data have no place for a class balance, or other samples than it has; on resuming, the data, its
            order or its batches do not agree with the checkpoint's position, or that is damaged.
    """

    train_dataset: Any
    _order: ShuffledOrder | BalancedOrder | None = None

    def __init__(self, *args: Any, balance: ClassBalance | None = None, **kwargs: Any) -> None:
        self.balance = balance
        super().__init__(*args, **kwargs)
        if balance is not None and self.train_dataset is not None:
            samples = len(self.train_dataset) if has_length(self.train_dataset) else "a stream"
            if samples != len(balance.labels):
                raise UserError(
                    f"the class balance is of {len(balance.labels)} samples, the training data has {samples}"
                )
        if isinstance(self.train_dataset, StreamingBlocks):
            self.train_dataset = SeekableStream(self.train_dataset)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler | None:
        self._order = None
        if self._keeps_order:
            return SequentialSampler(self.train_dataset)
        sampler = super()._get_train_sampler(train_dataset)
        if type(sampler) is RandomSampler:
            seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
            balance = self.balance
            order = ShuffledOrder(len(sampler), seed) if balance is None else BalancedOrder(balance, seed)
            self._order = sampler = order
        elif self.balance is not None:
            raise UserError(
                "a class balance takes the place of a random order, got train_sampling_strategy "
                f"{self.args.train_sampling_strategy!r}: leave one of them out"
            )
        return sampler

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial), f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}")
            self._position().save(folder)

    def set_initial_training_values(self, args: TrainingArguments, dataloader: DataLoader) -> tuple:
        num_train_epochs, *others = super().set_initial_training_values(args, dataloader)
        # A length in updates ends the run by itself: after a change of batch size it takes another number of epochs
        # than the host plans, though never more than one for each update.
        return (max(num_train_epochs, args.max_steps), *others)

    def _init_training_state(
        self,
        max_steps: int,
        num_update_steps_per_epoch: int,
        num_train_epochs: int,
        resume_from_checkpoint: str | None,
        trial: Any,
    ) -> tuple[int, int]:
        planned_epochs = min(num_train_epochs, math.ceil(max_steps / num_update_steps_per_epoch))
        epoch, batches = super()._init_training_state(
            max_steps, num_update_steps_per_epoch, planned_epochs, resume_from_checkpoint, trial
        )
        self.state.compute_steps(self.args, max_steps)  # intervals of this run; the host would keep the checkpoint's
        position = None
        if resume_from_checkpoint is not None and not self.args.ignore_data_skip:
            position = Position.load(Path(resume_from_checkpoint))
        if position is not None:
            if self.args.max_steps <= 0:
                check_global_batch(position, self._feed())
            updates = updates_to(position, self._feed())
            epoch, batches = position.epoch, updates * self.args.gradient_accumulation_steps
            if position.stream is not None and isinstance(self.train_dataset, SeekableStream):
                self.train_dataset.seek(position.stream, position.samples_in_epoch)
        if self.state.global_step >= max_steps:
            return num_train_epochs, 0  # the host asks after an update whether it was the last
        return epoch, batches

    @property
    def _keeps_order(self) -> bool:
        """Tell whether the data are the samples of the whole run, in the order in which they are to be read."""
        return getattr(self.train_dataset, "keeps_order", False)

    def _feed(self) -> Feed:
        return Feed(
            num_samples=None if self._keeps_order or not has_length(self.train_dataset) else len(self.train_dataset),
            data_seed=None if self._order is None else self._order.seed,
            samples_per_update=self.get_total_train_batch_size(self.args),
            balance=None if self.balance is None else str(self.balance),
        )

    def _position(self) -> Position:
        feed, accumulation = self._feed(), self.args.gradient_accumulation_steps
        if self._keeps_order:  # the run is one pass, which a longer one goes on with
            return Position(epoch=0, samples_in_epoch=self.state.global_step * feed.samples_per_update, feed=feed)
        loader = self.callback_handler.train_dataloader
        streamed = self.state.max_steps * accumulation  # what Trainer takes for an epoch of unknown length
        epoch, samples = samples_done(
            self.state.epoch,
            batches_per_epoch=len(loader) * self.get_sp_size() if has_length(loader) else streamed,
            samples_per_batch=feed.samples_per_update // accumulation,
        )
        if samples == 0 and not has_length(loader):  # the run's end, which is not the stream's: a longer one goes on
            epoch, samples = epoch - 1, streamed * feed.samples_per_update // accumulation
        stream = self.train_dataset if isinstance(self.train_dataset, SeekableStream) else None
        if stream is not None and stream.is_over(samples):
            return Position(epoch=epoch + 1, samples_in_epoch=0, feed=feed)
        place = None if stream is None else stream.place(samples)
        return Position(epoch=epoch, samples_in_epoch=samples, feed=feed, stream=place)
