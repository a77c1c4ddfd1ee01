"""The pretraining script with a saboteur among its callbacks: `SABOTAGE` says what it does, and when.

A kind and an update, such as `nan_loss:120`. What happens is done to the model's own inputs, outputs, gradients or
rates, as a bad batch, a broken kernel or a wrong schedule would do it.
"""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

VARIABLE = "SABOTAGE"
POISONED_UPDATES = 20
BLIP_UPDATES = 5
BLIP = 30.0


class Saboteur(TrainerCallback):
    """Does one kind of harm from one update on."""

    def __init__(self, kind: str, update: int) -> None:
        self.kind, self.update = kind, update
        self._now = -1
        self._hooks: list[Any] = []

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **kwargs: Any
    ) -> None:
        self._hooks = KINDS[self.kind](self, model)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._now = state.global_step

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, optimizer: Any, **_: Any
    ) -> None:
        self._scale_rates(optimizer, BLIP)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, optimizer: Any, **_: Any
    ) -> None:
        self._scale_rates(optimizer, 1.0 / BLIP)

    def is_time(self, updates: int = 1) -> bool:
        """Tell whether the harm is done in this update."""
        return self.update <= self._now < self.update + updates

    def _scale_rates(self, optimizer: Any, factor: float) -> None:
        if self.kind == "lr_blip" and self.is_time(BLIP_UPDATES):
            for group in optimizer.param_groups:
                group["lr"] *= factor


def _nan_loss(saboteur: Saboteur, model: nn.Module) -> list[Any]:
    def spoil(module: nn.Module, _: Any, output: Any) -> Any:
        if module.training and saboteur.is_time():
            output["loss"] = output["loss"] * math.nan
        return output

    return [model.register_forward_hook(spoil)]


def _scaled_gradient(factor: float) -> Callable[[Saboteur, nn.Module], list[Any]]:
    def make(saboteur: Saboteur, model: nn.Module) -> list[Any]:
        def spoil(gradient: torch.Tensor) -> torch.Tensor:
            return gradient * factor if saboteur.is_time() else gradient

        return [param.register_hook(spoil) for param in model.parameters() if param.requires_grad]

    return make


def _poisoned_batches(saboteur: Saboteur, model: nn.Module) -> list[Any]:
    noise = torch.Generator().manual_seed(0)

    def poison(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if module.training and saboteur.is_time(POISONED_UPDATES):
            shape, vocabulary = kwargs["input_ids"].shape, module.config.vocab_size
            kwargs["input_ids"] = torch.randint(vocabulary, shape, generator=noise)
            kwargs["labels"] = torch.randint(vocabulary, shape, generator=noise)
        return args, kwargs

    return [model.register_forward_pre_hook(poison, with_kwargs=True)]


def _nothing(saboteur: Saboteur, model: nn.Module) -> list[Any]:  # noqa: ARG001 - as the others
    return []


KINDS: dict[str, Callable[[Saboteur, nn.Module], list[Any]]] = {
    "nan_loss": _nan_loss,
    "inf_gradient": _scaled_gradient(math.inf),
    "huge_gradient": _scaled_gradient(1000.0),
    "poisoned_batches": _poisoned_batches,
    "lr_blip": _nothing,  # the rates are the callback's own business
}


def main(argv: Sequence[str] | None = None) -> Any:
    """Be the script, and add the saboteur that `VARIABLE` asks for."""
    from pretrain import main as pretrain

    from hf_strategies.runs import pretraining

    kind, _, update = os.environ[VARIABLE].partition(":")
    build = pretraining.build_trainer

    def build_with_saboteur(*args: Any, **kwargs: Any) -> Any:
        trainer = build(*args, **kwargs)
        trainer.add_callback(Saboteur(kind, int(update)))
        return trainer

    pretraining.build_trainer = build_with_saboteur
    return pretrain(argv)
