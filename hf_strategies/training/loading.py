"""Trainer that finds a checkpoint's weights under whatever names the host has saved them, and misses none."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, logging

from hf_strategies.errors import UserError
from hf_strategies.training.host import Host

SHOWN_NAMES = 3


class LoadingMixin(Host):
    """Load weights that stand under other names than the model's, by the model's own class.

    The host saves many models (ViT is one) under names of its older releases, which `from_pretrained` translates. Its
    trainer, on resuming and for the best weights, does not: it leaves all that it cannot name as it is, and warns.
    Adapters keep their names; FSDP and DeepSpeed have formats of their own: those stay with the host.

    Raises:
        UserError: A checkpoint lacks weights of the model.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if not self._load_renamed(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_best_model(self) -> None:
        if not self._load_renamed(str(self.state.best_model_checkpoint)):
            super()._load_best_model()

    def _load_renamed(self, folder: str) -> bool:
        """Load weights that the host would not find, and tell whether there were any."""
        names = stored_names(Path(folder))
        if self.is_fsdp_enabled or self.is_deepspeed_enabled or not names:
            return False
        lacking = missing_weights(self.model, names)
        if not lacking:
            return False
        model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
        weights: dict[str, Tensor] = {}
        if isinstance(model, PreTrainedModel):
            weights = weights_by_class(folder, model)
            lacking = missing_weights(model, weights)
        if lacking:
            more = ", ..." if len(lacking) > SHOWN_NAMES else ""
            raise UserError(
                f"{folder} does not fit this model: it lacks {len(lacking)} of its weights, or has them in another "
                f"shape ({', '.join(lacking[:SHOWN_NAMES])}{more})"
            )
        model.load_state_dict(weights, strict=False)
        return True


def stored_names(folder: Path) -> set[str]:
    """Read what the weights of a checkpoint are called, without reading them.

    Returns:
        Names; none where the folder holds an adapter, or weights in another format than safetensors.
    """
    index = folder / SAFE_WEIGHTS_INDEX_NAME
    if (folder / SAFE_WEIGHTS_NAME).is_file():
        with safe_open(folder / SAFE_WEIGHTS_NAME, "pt") as stored:
            return set(stored.keys())
    return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"]) if index.is_file() else set()


def missing_weights(model: nn.Module, names: Collection[str]) -> list[str]:
    """Return which of a model's weights and buffers are not among `names`.

    A tied weight is there under any of its names; what its class never saves is not missed.
    """
    state = model.state_dict(keep_vars=True)
    there = {id(tensor) for name, tensor in state.items() if name in names}
    unsaved = getattr(model, "_keys_to_ignore_on_save", None) or ()
    return [name for name, tensor in state.items() if id(tensor) not in there and name not in unsaved]


def weights_by_class(folder: str, model: PreTrainedModel) -> dict[str, Tensor]:
    """Load a checkpoint as its class does, and return the weights that it has, under the model's names.

    They come in float32 or wider, which holds those of every narrower type exactly, also where a model mixes types.
    """
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it would print a table of what is missing: that is said in a line
    try:
        loaded, found = type(model).from_pretrained(
            folder,
            config=model.config,
            dtype=torch.promote_types(model.dtype, torch.float32),
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    finally:
        logging.set_verbosity(verbosity)
    anew = {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])}
    return {name: tensor for name, tensor in loaded.state_dict().items() if name not in anew}
