"""A stage's weights from a checkpoint of the same model, whatever processes have written it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hf_strategies.checkpoints.weight_files import names_of, read_weight, stored_weights
from hf_strategies.distributed.pipeline.loading import load_own_stage
from hf_strategies.distributed.pipeline.place import Place
from hf_strategies.errors import UserError


@torch.no_grad()
def read_stage(model: PreTrainedModel, folder: Path, names: Sequence[str], place: Place) -> None:
    """Copy weights from a checkpoint into a stage's model; of a model with an adapter, the adapter's.

    Args:
        model: With the weights of this stage.
        folder: The checkpoint.
        names: Of what this stage reads.
        place: Of this process.

    Raises:
        UserError: Weights are not there, or have another shape.
    """
    state = model.state_dict(keep_vars=True)
    if hasattr(model, "peft_config"):
        names = [name for name in names if state[name].requires_grad]  # its base is loaded from where it came from
    stored = stored_weights(folder)
    files = {name: stored[alias] for name in names for alias in names_of(name) if alias in stored}
    lacking = [name for name in names if name not in files]
    translated: dict[str, Tensor] = {}
    if lacking and not hasattr(model, "peft_config"):  # saved under the names of older releases of the host
        loaded = load_own_stage(type(model), str(folder), model.config, place, dtype=model.dtype)
        if loaded is not None:
            found = loaded[0].state_dict()
            translated = {name: found[name] for name in lacking if name not in loaded[1]["missing_keys"]}
    for name in names:
        weight = read_weight(*files[name]) if name in files else translated.get(name)
        if weight is None or weight.shape != state[name].shape:
            raise UserError(f"{folder} does not fit this model: it lacks {name}, or has it in another shape")
        state[name].copy_(weight)
