"""Let weight decay, momentum or a beta follow a curve, as the learning rate does."""

import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import has_length

from hf_strategies.distributed.parallel_sizes import data_replicas
from hf_strategies.errors import UserError
from hf_strategies.schedulers import RunScale
from hf_strategies.schedulers.value_curves import ValueCurve, check_hyperparameter

BETAS = {"beta1": 0, "beta2": 1}


def hyperparameters_of(group: Mapping[str, Any]) -> dict[str, float]:
    """List the numbers that a parameter group is trained with, betas one by one."""
    numbers = {name: group["betas"][place] for name, place in BETAS.items() if "betas" in group}
    own = {
        name: value
        for name, value in group.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and not name.startswith(("initial_", "num_"))
    }
    return {**numbers, **own}


def set_hyperparameter(group: dict[str, Any], name: str, value: float) -> None:
    """Set one number of a parameter group; adamw keeps a decay independent of the rate divided by the base rate."""
    if name in BETAS and name not in group:
        betas = list(group["betas"])
        betas[BETAS[name]] = value
        group["betas"] = tuple(betas)
    elif name == "weight_decay" and group.get("decay") == "independent":
        group[name] = value / group["initial_lr"]
    else:
        group[name] = value


class HyperparameterCurveCallback(TrainerCallback):
    """Set a hyperparameter of every parameter group that has it, before each update.

    A group's own value is kept in it as `initial_<name>`, which is saved and restored with the optimizer. A group
    whose own value is 0 stays there: what is not decayed is not decayed later either.

    Args:
        hyperparameter: Name in a parameter group, such as weight_decay or momentum; "beta1" and "beta2" are the
            entries of its `betas`.
        scheduler: Name of a curve on the shelf.
        scheduler_kwargs: The curve's own arguments, and `num_warmup_steps`.
        at_zero: Value where the curve is 0.
        at_one: Value where the curve is 1; None for each group's own.
        tokens_per_sample: Tokens in a sample, for lengths that are written in tokens.
        num_training_steps: Updates that the curve spans; None for the run's. Past its end a curve holds.

    Raises:
        UserError: The curve or a value is wrong; as training begins, no group has the hyperparameter, all have it
            at 0, a step would decay all of a weight, or the curve's phases do not fit in the run.
    """

    def __init__(
        self,
        hyperparameter: str,
        scheduler: str,
        scheduler_kwargs: Mapping[str, Any] | None = None,
        at_zero: float = 0.0,
        at_one: float | None = None,
        tokens_per_sample: int | None = None,
        num_training_steps: int | None = None,
    ) -> None:
        self.curve = ValueCurve(hyperparameter, scheduler, scheduler_kwargs or {}, at_zero, at_one)
        self.tokens_per_sample = tokens_per_sample
        self.num_training_steps = num_training_steps

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer,
        train_dataloader: DataLoader,
        **kwargs: Any,
    ) -> None:
        name = self.curve.hyperparameter
        check_hyperparameter(self.curve, set().union(*map(hyperparameters_of, optimizer.param_groups)) - {"lr"})
        for group in optimizer.param_groups:
            if name in (numbers := hyperparameters_of(group)):
                group.setdefault(f"initial_{name}", numbers[name])
        if not any(group.get(f"initial_{name}") for group in optimizer.param_groups):
            raise UserError(f"a curve of {name} has nothing to change: every parameter group has it at 0")
        if name == "weight_decay":
            self._check_decay(optimizer)
        samples = args.train_batch_size * args.gradient_accumulation_steps * data_replicas(args)
        batches = len(train_dataloader) if has_length(train_dataloader) else None
        self._factor = self.curve.bind(
            RunScale(
                num_training_steps=self.num_training_steps or state.max_steps,
                tokens_per_update=self.tokens_per_sample and self.tokens_per_sample * samples,
                updates_per_epoch=batches and math.ceil(batches / args.gradient_accumulation_steps),
            )
        )

    def _check_decay(self, optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            base = group["initial_weight_decay"]
            rate = 1.0 if group.get("decay") == "independent" else group.get("initial_lr", group["lr"])
            decay = self.curve.highest(base) if base else 0.0
            if decay * rate >= 1:
                raise UserError(
                    "a curve of weight_decay must take less than all of a weight in a step, "
                    f"got {decay:g} times a learning rate of {rate:g}"
                )

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer,
        **kwargs: Any,
    ) -> None:
        name, factor = self.curve.hyperparameter, self._factor(state.global_step)
        for group in optimizer.param_groups:
            if base := group.get(f"initial_{name}"):
                set_hyperparameter(group, name, self.curve.value(factor, base))
