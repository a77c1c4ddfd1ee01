"""The averaged weights of a schedule-free optimizer, in place wherever weights are looked at."""

import logging
from typing import Any

from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_strategies.distributed.zero import zero_optimizer
from hf_strategies.optimizers.zero_modes import ZeroModes

logger = logging.getLogger(__name__)


def has_modes(optimizer: Any) -> bool:
    """Tell whether an optimizer trains other weights than it wants to be judged by, and can switch between them."""
    inner = innermost(optimizer)  # accelerate's wrapper has both methods for any optimizer
    return callable(getattr(inner, "train", None)) and callable(getattr(inner, "eval", None))


def innermost(optimizer: Any) -> Any:
    """Return the optimizer inside accelerate's and DeepSpeed's wrappers."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


class ScheduleFreeCallback(TrainerCallback):
    """Switch a schedule-free optimizer to its average before an evaluation, a save and the end of training.

    Trainer switches before it evaluates and back before it trains on, but saves whatever is there. So this switches
    after each update on which something is asked for, and after each epoch, which covers the end of training; a best
    model that is loaded then is left as it was saved. It stands behind callbacks that ask for saves or evaluations;
    StrategyMixin adds it by itself. Switching rounds: runs are equal to the bit where they switch at the same updates.
    """

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        inner, zero = innermost(optimizer), zero_optimizer(optimizer)
        if not has_modes(optimizer):
            logger.warning("ScheduleFreeCallback has nothing to do: %s keeps no average", type(inner).__name__)
        elif zero is not None and not isinstance(getattr(inner.train, "__self__", None), ZeroModes):
            ZeroModes(zero, inner)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        if (control.should_save or control.should_evaluate) and has_modes(optimizer):
            optimizer.eval()

    def on_epoch_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        if has_modes(optimizer):
            optimizer.eval()
