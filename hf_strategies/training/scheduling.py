"""Trainer with schedules by name."""

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from transformers import TrainingArguments
from transformers.trainer_utils import has_length

from hf_strategies.callbacks.gradual_unfreezing import GradualUnfreezingCallback
from hf_strategies.errors import UserError
from hf_strategies.schedulers import SCHEDULERS, create_scheduler
from hf_strategies.schedulers.late_start import JOINS_AFTER
from hf_strategies.training.host import Host
from hf_strategies.training.schedule import better_metrics


class SchedulingMixin(Host):
    """Build the schedule from the shelf, with lengths in any unit; groups that join late are frozen until then.

    Args:
        scheduler: Registered scheduler name; None keeps Trainer's own `lr_scheduler_type`. Its warmup is Trainer's
            `warmup_steps`.
        scheduler_kwargs: Shape arguments of that schedule's curve; `num_warmup_steps` among them takes the place of
            `warmup_steps`, for a warmup in tokens or epochs.
        tokens_per_sample: Tokens in a sample, for lengths that are written in tokens.

    Raises:
        UserError: The scheduler is unknown, or has arguments and no name.
    """

    lr_scheduler: LRScheduler | None

    def __init__(
        self,
        *args: Any,
        scheduler: str | None = None,
        scheduler_kwargs: dict[str, Any] | None = None,
        tokens_per_sample: int | None = None,
        **kwargs: Any,
    ) -> None:
        if scheduler is None and scheduler_kwargs:
            raise UserError(f"scheduler_kwargs {scheduler_kwargs} need the name of a scheduler, got none")
        self.scheduler_name = scheduler and SCHEDULERS[scheduler].name
        self.scheduler_kwargs = scheduler_kwargs or {}
        self.tokens_per_sample = tokens_per_sample
        self._updates_per_epoch: int | None = None
        super().__init__(*args, **kwargs)

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> LRScheduler:
        self._unfreeze_gradually(self.optimizer if optimizer is None else optimizer)
        if self.scheduler_name is None or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)
        if self.args.warmup_steps and "num_warmup_steps" in self.scheduler_kwargs:
            raise UserError("warmup_steps and num_warmup_steps of scheduler_kwargs cannot both be given; choose one")
        shape = {"num_warmup_steps": self.args.get_warmup_steps(num_training_steps), **self.scheduler_kwargs}
        if SCHEDULERS[self.scheduler_name].facts.get("stateful"):
            shape = {"mode": better_metrics(self.args), **shape}
        samples = self.get_total_train_batch_size(self.args)
        self.lr_scheduler = create_scheduler(
            self.scheduler_name,
            self.optimizer if optimizer is None else optimizer,
            num_training_steps=num_training_steps,
            tokens_per_update=self.tokens_per_sample and self.tokens_per_sample * samples,
            updates_per_epoch=self._updates_per_epoch,
            **shape,
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def _unfreeze_gradually(self, optimizer: Optimizer) -> None:
        """Add the callback that parameter groups which join late need, unless it is there."""
        callbacks = self.callback_handler.callbacks
        late = any(JOINS_AFTER in group for group in optimizer.param_groups)
        if late and not any(isinstance(callback, GradualUnfreezingCallback) for callback in callbacks):
            self.add_callback(GradualUnfreezingCallback(self.tokens_per_sample))

    def set_initial_training_values(self, args: TrainingArguments, dataloader: DataLoader) -> tuple:
        num_train_epochs, *others = super().set_initial_training_values(args, dataloader)
        self._updates_per_epoch = others[0] if has_length(dataloader) else None
        return (num_train_epochs, *others)
