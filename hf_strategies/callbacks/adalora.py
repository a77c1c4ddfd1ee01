"""AdaLoRA's budget: which singular values of the adapters are kept, as training goes."""

import logging
from collections.abc import Iterator
from typing import Any

import torch
from peft import PeftModel, PeftType
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_strategies.distributed.sharding import is_sharded
from hf_strategies.errors import UserError
from hf_strategies.ranges import COUNT, RATIO

SENSITIVITY, UNCERTAINTY = "adalora_sensitivity", "adalora_uncertainty"  # in the optimizer's state of a factor

logger = logging.getLogger(__name__)


def budget_phases(num_training_steps: int, *, warmup_share: float, final_share: float) -> tuple[int, int]:
    """Return the updates before ranks are first cut, and those after they are settled.

    Raises:
        UserError: No update is left between them.
    """
    warmup, final = int(warmup_share * num_training_steps), int(final_share * num_training_steps)
    if warmup + final >= num_training_steps:
        raise UserError(
            f"adalora cuts ranks between its warmup of {warmup} updates and its last {final}: the run's "
            f"{num_training_steps} leave none"
        )
    return warmup, final


class AdaLoraCallback(TrainerCallback):
    """Cut the ranks of an AdaLoRA adapter, after each update, along a cubic schedule to its target.

    peft's own rules decide what is dropped, by the weights and gradients of each update; an update that the step guard
    skips counts for nothing. Their running averages live in the optimizer's state, so they are saved and come back
    with it. Adapters are saved with all of their ranks, those that were dropped being zero: that is what resumes. The
    penalty that peft adds to the model's loss is in the training loss, and left out of evaluations.

    Paper: https://arxiv.org/abs/2303.10512, sections 3.2 and 3.3; the defaults are near its authors' for
    RTE and SST-2.

    Args:
        warmup_share: Share of the run before the first cut.
        final_share: Share of the run after the last one.
        interval: Updates from one cut to the next.

    Raises:
        UserError: A value is out of range; when training begins: the run is too short, or the weights are sharded.
    """

    def __init__(self, warmup_share: float = 0.1, final_share: float = 0.5, interval: int = 10) -> None:
        rules = {
            "warmup_share": (RATIO, warmup_share),
            "final_share": (RATIO, final_share),
            "interval": (COUNT, interval),
        }
        for name, ((holds, expected), value) in rules.items():
            if not holds(value):
                raise UserError(f"{name} of adalora must be {expected}, got {value!r}")
        self.warmup_share = warmup_share
        self.final_share = final_share
        self.interval = interval
        self._config: Any = None
        self._penalty = 0.0
        self._dropped: list[tuple[Tensor, Tensor]] = []

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **kwargs: Any
    ) -> None:
        self._config = model.active_peft_config if isinstance(model, PeftModel) else None
        if self._config is None or self._config.peft_type != PeftType.ADALORA:
            self._config = None
            logger.warning("AdaLoraCallback has nothing to do: %s has no AdaLoRA adapter", type(model).__name__)
            return
        if args.deepspeed is not None or getattr(args, "deepspeed_plugin", None) is not None or is_sharded(model):
            raise UserError("adalora needs whole weights and gradients on each rank: one process, or DDP")
        self._config.tinit, self._config.tfinal = budget_phases(
            state.max_steps, warmup_share=self.warmup_share, final_share=self.final_share
        )
        self._config.total_step, self._config.deltaT = state.max_steps, self.interval
        self._penalty = self._config.orth_reg_weight or self._penalty

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._set_penalty(self._penalty)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **kwargs: Any
    ) -> None:
        if self._is_settled(state):
            values = [factor for name, factor in _factors(model) if "lora_E" in name]
            self._dropped = [(factor, factor.detach() == 0) for factor in values]

    @torch.no_grad()
    def on_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module,
        optimizer: Optimizer,
        **kwargs: Any,
    ) -> None:
        if self._config is None:
            return
        if self._is_settled(state):
            for factor, dropped in self._dropped:
                factor.masked_fill_(dropped, 0.0)
            return
        factors = dict(_factors(model))
        if any(factor.grad is None for factor in factors.values()):
            return
        allocator = model.base_model.rankallocator
        allocator.exp_avg_ipt = _recall(optimizer, factors, SENSITIVITY)
        allocator.exp_avg_unc = _recall(optimizer, factors, UNCERTAINTY)
        allocator.ipt = dict(allocator.exp_avg_ipt)  # which names are known; its values are taken anew
        model.base_model.update_and_allocate(state.global_step + 1)
        self._config.rank_pattern = None  # with one, peft saves the ranks that are left, and cannot resume from them
        _remember(optimizer, factors, SENSITIVITY, allocator.exp_avg_ipt)
        _remember(optimizer, factors, UNCERTAINTY, allocator.exp_avg_unc)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if control.should_evaluate:
            self._set_penalty(0.0)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if control.should_evaluate:
            self._set_penalty(0.0)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._set_penalty(self._penalty)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._set_penalty(0.0)
        self._config = None

    def _is_settled(self, state: TrainerState) -> bool:
        config = self._config
        return config is not None and state.global_step + 1 > config.total_step - config.tfinal

    def _set_penalty(self, weight: float) -> None:
        if self._config is not None:
            self._config.orth_reg_weight = weight


def _factors(model: Any) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the factors that AdaLoRA trains, by the names that peft's allocator uses."""
    for name, param in model.base_model.model.named_parameters():
        if "lora_" in name and model.active_adapter in name:
            yield name, param


def _recall(optimizer: Optimizer, factors: dict[str, nn.Parameter], key: str) -> dict[str, Tensor]:
    return {name: optimizer.state[factor][key] for name, factor in factors.items() if key in optimizer.state[factor]}


def _remember(optimizer: Optimizer, factors: dict[str, nn.Parameter], key: str, averages: dict[str, Tensor]) -> None:
    for name, factor in factors.items():
        if name in averages:
            optimizer.state[factor][key] = averages[name]
        else:  # the ranks are settled
            optimizer.state[factor].pop(key, None)
