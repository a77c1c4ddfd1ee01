"""The Trainer part: what its constructor and its callbacks have no socket for."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset, RandomSampler, Sampler
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, has_length

from hf_strategies.callbacks.metric_source import MetricSource
from hf_strategies.data.streaming import StreamingBlocks
from hf_strategies.errors import UserError
from hf_strategies.schedulers import SCHEDULERS, create_scheduler
from hf_strategies.training.order import ShuffledOrder
from hf_strategies.training.position import Feed, Position, check_global_batch, samples_done, updates_to
from hf_strategies.training.stream import SeekableStream

if TYPE_CHECKING:
    from transformers import Trainer as Host
else:
    Host = object  # a mixin: which Trainer it extends is its user's choice


class StrategyMixin(Host):
    """Give any Trainer schedules by name, callbacks' metrics in its log, and an exact position in its data.

    It stands before the Trainer it extends: `class Mine(StrategyMixin, Seq2SeqTrainer)`. What a plain Trainer can do
    stays with it. A random order of samples becomes a pure function of (data_seed, or else seed; epoch; position), any
    other order is left alone. Each checkpoint says how many samples it has seen (`position.json`), and resuming seeks
    there, also with other ranks, batch size or accumulation, without loading what it skips; `StreamingBlocks` too
    continue where they were left.

    Args:
        scheduler: Registered scheduler name; None keeps Trainer's own `lr_scheduler_type`. Its warmup is Trainer's
            `warmup_steps`.
        scheduler_kwargs: Shape arguments of that schedule's curve.

    Raises:
        UserError: The scheduler is unknown, or has arguments and no name; on resuming, the data, its order or its
            batches do not agree with the checkpoint's position, or that is damaged.
    """

    lr_scheduler: LRScheduler | None
    train_dataset: Any
    _order: ShuffledOrder | None = None

    def __init__(
        self,
        *args: Any,
        scheduler: str | None = None,
        scheduler_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if scheduler is None and scheduler_kwargs:
            raise UserError(f"scheduler_kwargs {scheduler_kwargs} need the name of a scheduler, got none")
        self.scheduler_name = scheduler and SCHEDULERS[scheduler].name
        self.scheduler_kwargs = scheduler_kwargs or {}
        super().__init__(*args, **kwargs)
        if isinstance(self.train_dataset, StreamingBlocks):
            self.train_dataset = SeekableStream(self.train_dataset)

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> LRScheduler:
        if self.scheduler_name is None or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)
        self.lr_scheduler = create_scheduler(
            self.scheduler_name,
            self.optimizer if optimizer is None else optimizer,
            num_training_steps=num_training_steps,
            num_warmup_steps=self.args.get_warmup_steps(num_training_steps),
            **self.scheduler_kwargs,
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log `logs` and what callbacks have to add; a training log gets their metrics, the last one their summary."""
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, MetricSource) and ("loss" in logs or "train_runtime" in logs):
                found = callback.metrics() if "loss" in logs else callback.summary()
                logs |= {name: value for name, value in found.items() if name not in logs}
        super().log(logs, start_time)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler | None:
        sampler = super()._get_train_sampler(train_dataset)
        self._order = None
        if type(sampler) is RandomSampler:
            seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
            self._order = sampler = ShuffledOrder(len(sampler), seed)
        return sampler

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial), f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}")
            self._position().save(folder)
        super()._save_checkpoint(model, trial)

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
        if self._order is not None:
            self._order.set_epoch(epoch)  # accelerate's own call does not reach through a loader that skips batches
        return epoch, batches

    def _feed(self) -> Feed:
        return Feed(
            num_samples=len(self.train_dataset) if has_length(self.train_dataset) else None,
            data_seed=None if self._order is None else self._order.seed,
            samples_per_update=self.get_total_train_batch_size(self.args),
        )

    def _position(self) -> Position:
        feed, accumulation = self._feed(), self.args.gradient_accumulation_steps
        loader = self.callback_handler.train_dataloader
        streamed = self.state.max_steps * accumulation  # what Trainer takes for an epoch of unknown length
        epoch, samples = samples_done(
            self.state.epoch,
            batches_per_epoch=len(loader) * self.get_sp_size() if has_length(loader) else streamed,
            samples_per_batch=feed.samples_per_update // accumulation,
        )
        stream = self.train_dataset if isinstance(self.train_dataset, SeekableStream) else None
        if stream is not None and stream.is_over(samples):
            return Position(epoch=epoch + 1, samples_in_epoch=0, feed=feed)
        place = None if stream is None else stream.place(samples)
        return Position(epoch=epoch, samples_in_epoch=samples, feed=feed, stream=place)


class StrategyTrainer(StrategyMixin, Trainer):
    """`Trainer` with `StrategyMixin`'s schedules by name, metrics of callbacks, and exact resume."""
