"""A checkpoint of which each stage of a pipeline reads what is its own, by the host's own loading."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from accelerate import big_modeling
from accelerate.hooks import remove_hook_from_module
from safetensors import safe_open
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

from hf_strategies.distributed.pipeline.place import Place
from hf_strategies.distributed.pipeline.plan import own_units, pipeline_plan


def load_own_stage(
    made: type[PreTrainedModel],
    name_or_path: str,
    config: PreTrainedConfig,
    place: Place,
    *,
    revision: str = "main",
    **options: Any,
) -> tuple[PreTrainedModel, dict[str, Any]] | None:
    """Load a checkpoint with the weights of one stage; those of others stay on the meta device, and are not read.

    The host translates the names and shapes of older releases, and initialises what is missing, as ever: it is shown
    tensors without values in the place of what belongs to others.

    Args:
        made: The model's class.
        name_or_path: A folder or a Hub name.
        config: As it was loaded.
        place: Of this process.
        revision: On the Hub.
        options: Of the host's `from_pretrained`.

    Returns:
        What `from_pretrained` returns when asked for its loading info; None where there are no safetensors, the one
        format that is read in part.

    Raises:
        UserError: The model cannot be split like this.
    """
    files = _files(name_or_path, revision)
    if not files:
        return None
    with torch.device("meta"):
        sketch = made._from_config(config, dtype=torch.float32)
    own = {id(tensor) for unit in own_units(sketch, pipeline_plan(sketch), place) for tensor in unit.parameters()}
    devices = {name: "cpu" if id(param) in own else "meta" for name, param in _named(sketch)}
    elsewhere = {name for name, device in devices.items() if device == "meta"}
    elsewhere |= {name.removeprefix(f"{sketch.base_model_prefix}.") for name in elsewhere}  # of a base model's files
    devices |= {name: "cpu" for name, _ in sketch.named_buffers()}
    state = dict(tensor for file in files for tensor in _read(file, elsewhere))
    with _without_remarks():
        model, found = made.from_pretrained(
            None, config=config, state_dict=state, device_map=devices, output_loading_info=True, **options
        )
    model.name_or_path = model.config.name_or_path = name_or_path
    if model.can_generate():
        with suppress(OSError):  # most checkpoints have none
            model.generation_config = GenerationConfig.from_pretrained(name_or_path, revision=revision)
    del model.hf_device_map  # it is no model that is spread over devices of this process
    remove_hook_from_module(model, recurse=True)
    for module in model.modules():
        module.__dict__.pop("forward", None)  # which the hooks had wrapped, and put back as an attribute
    return model, found


def _named(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return model.named_parameters(remove_duplicate=False)


def _files(name_or_path: str, revision: str) -> list[Path]:
    """Find the files of a checkpoint's weights, wherever they are; none without safetensors."""

    def find(name: str) -> Path | None:
        found = cached_file(name_or_path, name, revision=revision, _raise_exceptions_for_missing_entries=False)
        return None if found is None else Path(found)

    index = find(SAFE_WEIGHTS_INDEX_NAME)
    names = [SAFE_WEIGHTS_NAME]
    if index is not None:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    return [file for name in names if (file := find(name)) is not None]


def _read(file: Path, elsewhere: set[str]) -> Iterator[tuple[str, Tensor]]:
    """Read a file's tensors, but of those with names in `elsewhere` no more than their shapes."""
    with safe_open(file, "pt") as stored:
        for name in stored.keys():  # noqa: SIM118  # it is no mapping
            if name in elsewhere:
                yield name, torch.empty(stored.get_slice(name).get_shape(), device="meta")
            else:
                yield name, stored.get_tensor(name)


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Keep accelerate from remarking on a placement that is meant."""
    logger = logging.getLogger(big_modeling.__name__)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logger.setLevel(level)
