"""A learning-rate range test on any Trainer, which afterwards is what it was before.

Two things usually spoil one. The first updates of an adaptive optimizer are taken with moments that have seen next to
nothing, so that a curve shows the moments settling rather than the rate: here the optimizer warms up at the lowest
rate first. And the run that follows starts from other weights or random numbers: here all of it is put back.
"""

import copy
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import CallbackHandler, DefaultFlowCallback
from transformers.trainer_utils import set_seed

from hf_strategies.errors import UserError
from hf_strategies.planning.find_lr_request import check_range
from hf_strategies.planning.lr_band import RangeTest, has_diverged, rising_rates


def lr_range_test(
    trainer: Trainer,
    *,
    min_lr: float = 1e-6,
    max_lr: float = 1.0,
    num_warm_steps: int = 50,
    num_steps: int = 100,
    seed: int = 0,
) -> RangeTest:
    """Train `num_warm_steps` updates at `min_lr`, then `num_steps` with a rate that rises to `max_lr`, and undo it.

    It trains as the trainer itself would (accumulation, clipping, precision, its optimizer's own parts), with an
    optimizer made anew, without callbacks, evaluation, checkpoints, reporters or the step guard, until the loss has
    diverged. Every parameter group keeps its ratio to the optimizer's learning rate: rates are in terms of that one.

    Afterwards weights, buffers, gradients, train or eval mode, optimizer, schedule, random state and the trainer's own
    state are what they were, to the bit. Costs the updates, and one copy of the weights.

    Args:
        trainer: Any Trainer in a single process.
        min_lr, max_lr: Ends of the range, 0 < min_lr < max_lr.
        num_warm_steps: Updates that warm up the optimizer's state, at least 0.
        num_steps: Updates of the rise, at least 10.
        seed: Of the data's order, and of everything that draws random numbers in training.

    Raises:
        UserError: A value is out of range, the optimizer has no learning rate, several processes train, or the loss
            was never finite.
    """
    check_range(min_lr=min_lr, max_lr=max_lr, num_warm_steps=num_warm_steps, num_steps=num_steps)
    if trainer.args.world_size > 1 or trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
        raise UserError("a range test runs in one process, without DeepSpeed or FSDP")
    rates = [min_lr] * num_warm_steps + rising_rates(min_lr, max_lr, num_steps)
    recorder = _Recorder(num_warm_steps)
    with _restored(trainer):
        set_seed(seed)
        trainer.args = _quiet(trainer.args, max_steps=len(rates), seed=seed)
        trainer.optimizer = trainer.lr_scheduler = None
        trainer.create_optimizer()
        base = trainer.optimizer.defaults.get("lr")
        if not base:
            raise UserError(f"a range test needs an optimizer with a learning rate above 0, got {base}")
        rates.append(rates[-1])  # the schedule looks one update ahead
        trainer.lr_scheduler = LambdaLR(trainer.optimizer, lambda step: rates[step] / base)
        trainer._created_lr_scheduler = False  # the host keeps a schedule that it did not make
        trainer.control = TrainerControl()
        trainer.stoppable = False  # a range test leaves no checkpoint to go on from
        trainer.guard_options = None  # a loss that soars is what it is for
        trainer.callback_handler = CallbackHandler(
            [DefaultFlowCallback(), recorder],
            trainer.model,
            trainer.processing_class,
            trainer.optimizer,
            trainer.lr_scheduler,
        )
        trainer.train()
    if not any(map(math.isfinite, recorder.losses)):
        raise UserError(f"a range test saw no finite loss: it has diverged at its lowest rate, {min_lr:g}; lower min")
    return RangeTest(tuple(rates[num_warm_steps:-1]), tuple(recorder.losses))


class _Recorder(TrainerCallback):
    """Collects the losses of the rise and stops a run that has diverged."""

    def __init__(self, num_warm_steps: int) -> None:
        self.num_warm_steps = num_warm_steps
        self.warm_losses: list[float] = []
        self.losses: list[float] = []

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is None or "loss" not in logs:
            return
        if state.global_step <= self.num_warm_steps:
            self.warm_losses.append(logs["loss"])
        else:
            self.losses.append(logs["loss"])
            control.should_training_stop |= has_diverged(self.warm_losses, self.losses)


def _quiet(args: TrainingArguments, *, max_steps: int, seed: int) -> TrainingArguments:
    """Copy a trainer's arguments for a run that logs every loss as it is, and does nothing else beside training."""
    args = copy.copy(args)
    args.max_steps, args.seed, args.data_seed = max_steps, seed, seed
    args.logging_strategy, args.logging_steps, args.logging_nan_inf_filter = "steps", 1, False
    args.eval_strategy, args.save_strategy, args.eval_on_start = "no", "no", False
    args.load_best_model_at_end, args.push_to_hub, args.restore_callback_states_from_checkpoint = False, False, False
    return args


@contextmanager
def _restored(trainer: Trainer) -> Iterator[None]:
    """Put back everything that training touches, whatever happens in between."""
    model, accelerator = trainer.model, trainer.accelerator
    modules = list(model.modules())
    attributes = [dict(vars(module)) for module in modules]  # train or eval mode; forward, which accelerate wraps
    tables = [table for module in modules for table in (module._parameters, module._buffers)]
    assigned = [dict(table) for table in tables]  # a forward may put a new tensor in the place of a buffer
    tensors = [*model.parameters(), *model.buffers()]
    values = [tensor.detach().clone() for tensor in tensors]
    gradients = [tensor.grad for tensor in tensors]
    for tensor in tensors:
        tensor.grad = None
    trainers = dict(vars(trainer))
    held = {name: list(value) if isinstance(value, list) else value for name, value in vars(accelerator).items()}
    scaler = copy.deepcopy(accelerator.scaler.state_dict()) if accelerator.scaler is not None else None
    streams = _random_state()
    try:
        yield
    finally:
        for owner, before in zip([*map(vars, modules), *tables], [*attributes, *assigned]):
            owner.clear()
            owner.update(before)
        with torch.no_grad():
            for tensor, value, gradient in zip(tensors, values, gradients):
                tensor.copy_(value)
                tensor.grad = gradient
        for owner, before in ((vars(trainer), trainers), (vars(accelerator), held)):
            owner.clear()
            owner.update(before)
        if scaler is not None:
            accelerator.scaler.load_state_dict(scaler)
        _restore_random_state(streams)


def _random_state() -> dict[str, Any]:
    state = {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def _restore_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])
