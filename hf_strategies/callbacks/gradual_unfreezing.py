"""Blocks that begin to train one after another, from the top."""

import logging
import math
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import has_length
from transformers.training_args import ParallelMode

from hf_strategies.distributed.parallel_sizes import data_replicas
from hf_strategies.distributed.sharding import is_sharded
from hf_strategies.errors import UserError
from hf_strategies.schedulers.late_start import JOINS_AFTER, start_step
from hf_strategies.schedulers.lengths import RunScale

logger = logging.getLogger(__name__)


def unfrozen_groups(step: int, starts: list[int]) -> list[bool]:
    """Tell which parameter groups train in the update after `step`, given the update that each begins at."""
    return [step >= start for start in starts]


class GradualUnfreezingCallback(TrainerCallback):
    """Freeze what has still to join, before each update, and unfreeze what joins.

    Which parameters join when is said by the optimizer's groups, which `create_optimizer` makes with
    `param_groups={"unfreeze_every": "1 epoch"}`; what follows is the step's alone, so a resumed run needs no memory.
    Frozen weights cost no backward pass, have no gradient in its norm, and no state in the optimizer until they join.
    Groups are scheduled from their start by `create_scheduler`; under a schedule of the host's they join at its rate.
    At the end of training all that the optimizer holds is trainable, as it was before.

    Paper: ULMFiT, https://arxiv.org/abs/1801.06146, section 3.3.

    Args:
        tokens_per_sample: Tokens in a sample, for an interval that is written in tokens.

    Raises:
        UserError: When training begins: an interval cannot be turned into updates; or the weights are sharded; or DDP
            would wait for the gradients of frozen weights.
    """

    def __init__(self, tokens_per_sample: int | None = None) -> None:
        self.tokens_per_sample = tokens_per_sample
        self._starts: list[int] = []

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module,
        optimizer: Optimizer,
        train_dataloader: DataLoader,
        **kwargs: Any,
    ) -> None:
        samples = args.train_batch_size * args.gradient_accumulation_steps * data_replicas(args)
        batches = len(train_dataloader) if has_length(train_dataloader) else None
        run = RunScale(
            num_training_steps=state.max_steps,
            tokens_per_update=self.tokens_per_sample and self.tokens_per_sample * samples,
            updates_per_epoch=batches and math.ceil(batches / args.gradient_accumulation_steps),
        )
        self._starts = [start_step(group, run) for group in optimizer.param_groups]
        if not any(self._starts):
            self._starts = []
            logger.warning("GradualUnfreezingCallback has nothing to do: param_groups give no unfreeze_every")
            return
        _check_host(args, model)
        never = [
            group.get("name", f"group {number}")
            for number, (group, start) in enumerate(zip(optimizer.param_groups, self._starts))
            if start >= state.max_steps
        ]
        if never:
            logger.warning("the run's %d updates end before these join: %s", state.max_steps, ", ".join(never))

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer,
        **kwargs: Any,
    ) -> None:
        joined = []
        for group, trains in zip(optimizer.param_groups, unfrozen_groups(state.global_step, self._starts)):
            if _set_trainable(group["params"], trains) and trains:
                joined.append(group["name"])
        if joined and state.is_world_process_zero:
            print(f"unfreezing at step {state.global_step}: {', '.join(joined)}", flush=True)

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer,
        **kwargs: Any,
    ) -> None:
        for group, _ in zip(optimizer.param_groups, self._starts):
            _set_trainable(group["params"], True)


def _set_trainable(params: list[nn.Parameter], trains: bool) -> bool:
    """Freeze or unfreeze parameters; return whether that changed any."""
    changed = [param for param in params if param.requires_grad is not trains]
    for param in changed:
        param.requires_grad_(trains)
        param.grad = None
    return bool(changed)


def _check_host(args: TrainingArguments, model: nn.Module) -> None:
    sharded = args.deepspeed is not None or getattr(args, "deepspeed_plugin", None) is not None or is_sharded(model)
    if sharded:
        raise UserError(f"{JOINS_AFTER}: gradual unfreezing needs whole weights on each rank: one process, or DDP")
    finds_unused = args.ddp_find_unused_parameters
    if finds_unused is None:
        finds_unused = not any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    if args.parallel_mode == ParallelMode.DISTRIBUTED and not finds_unused:
        raise UserError(
            "gradual unfreezing under DDP needs ddp_find_unused_parameters (gradient checkpointing turns it off), or "
            "DDP waits for the gradients of frozen weights"
        )
