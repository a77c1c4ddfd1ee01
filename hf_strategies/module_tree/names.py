"""The names of a model's parts as the model itself has them, and those that a pattern may have been meant for."""

import difflib
import re
from collections.abc import Iterable

from torch import nn

# What DDP, torch.compile, FSDP, activation checkpointing and PEFT put around a model, as it appears in names.
WRAPPERS = re.compile(
    r"^(module\.|_orig_mod\.|_fsdp_wrapped_module\.|base_model\.model\.)+"
    r"|(?<=\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)


def named_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return every parameter by its name in the bare model, as if nothing were wrapped; tied weights once."""
    return {WRAPPERS.sub("", name): param for name, param in model.named_parameters()}


def nearest_names(pattern: str, names: Iterable[str]) -> list[str]:
    """Return three names that a pattern may have been meant for, of names that differ only in numbers the first."""
    kinds: dict[str, str] = {}
    for name in names:
        kinds.setdefault(re.sub(r"\d+", "", name), name)

    def likeness(name: str) -> float:
        return max(difflib.SequenceMatcher(None, pattern, part).ratio() for part in (name, *name.split(".")))

    return sorted(kinds.values(), key=likeness, reverse=True)[:3]
