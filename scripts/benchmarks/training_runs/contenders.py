"""Who runs against whom: each contender as the settings in which it differs from the shipped recipe."""

import re
from collections.abc import Mapping
from typing import Any

from hf_strategies.arguments import Arguments, parse_arguments

RATE = re.compile(r"(^|_)lr$|^learning_rate$")


def shipped_recipe() -> Arguments:
    return parse_arguments([], description="", default_recipe="pretrain")


def stock() -> dict[str, Any]:
    """Trainer's own defaults: AdamW at 5e-5, linear to zero without warmup, no decay, gradients clipped at norm 1."""
    return {
        "optim": "adamw_torch_fused",
        "learning_rate": 5e-5,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
    }


def adamw(learning_rate: float, beta2: float = 0.95, warmup: float = 0.05) -> dict[str, Any]:
    """AdamW as decoders are pretrained with it.

    Warmup, the host's cosine, which ends at zero, decay 0.1 on matrices and embeddings, gradients clipped at norm 1.
    """
    return tuned("adamw", learning_rate, warmup=warmup) | {"optimizer_kwargs": {"betas": [0.9, beta2]}}


def lamb(learning_rate: float, warmup: float = 0.05) -> dict[str, Any]:
    """LAMB under the schedule and decay of `adamw`."""
    return tuned("lamb", learning_rate, warmup=warmup)


def tuned(optimizer: str, learning_rate: float, *, warmup: float) -> dict[str, Any]:
    """An optimizer under warmup and the host's cosine, all else as the literature has it."""
    return {
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": warmup,
        "weight_decay": 0.1,
        "max_grad_norm": 1.0,
    }


def torch_muon(learning_rate: float) -> dict[str, Any]:
    """torch.optim.Muon and AdamW as they come, one rate for both, under the shipped recipe's schedule and decay."""
    return {"optimizer": "torch_muon", "learning_rate": learning_rate}


def shipped(factor: float = 1.0) -> dict[str, Any]:
    """The shipped recipe, every learning rate in it times `factor`."""
    if factor == 1.0:
        return {}
    recipe = shipped_recipe()
    names = ("learning_rate", "optimizer_kwargs", "param_groups")
    given = {name: recipe.values[name].value for name in names if name in recipe.values}
    return scale_rates(given, factor)


def scale_rates(settings: Any, factor: float) -> Any:
    """Multiply every setting whose name says that it is a learning rate, at any depth of mappings and lists."""
    if isinstance(settings, list):
        return [scale_rates(item, factor) for item in settings]
    if not isinstance(settings, Mapping):
        return settings
    return {
        name: value * factor if RATE.search(name) and value is not None else scale_rates(value, factor)
        for name, value in settings.items()
    }
