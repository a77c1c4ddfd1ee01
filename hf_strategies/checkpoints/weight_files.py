"""Files of whole weights, and what a weight of a model in training is called in them."""

import json
import re
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from hf_strategies.errors import UserError, first_line
from hf_strategies.module_tree.names import WRAPPERS

WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
INDEX = "model.safetensors.index.json"
ADAPTER = re.compile(r"\.(modules_to_save\.)?default\b")  # PEFT leaves the adapter's name out of what it saves


def bare(name: str) -> str:
    """Return a parameter's name in the bare model."""
    return WRAPPERS.sub("", name)


def names_of(name: str) -> tuple[str, str]:
    """Return what a weight of a model in training may be called in a checkpoint."""
    return bare(name), ADAPTER.sub("", bare(name))


def stored_weights(folder: Path) -> dict[str, tuple[Path, str]]:
    """Tell where each whole weight in a folder is: its file, and its name there; nothing where there is none.

    Raises:
        UserError: A file is missing or damaged.
    """
    index = folder / INDEX
    files = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    if index.is_file():
        files = [folder / name for name in sorted(set(json.loads(index.read_bytes())["weight_map"].values()))]
    return {bare(name): (file, name) for file in files for name in _names_in(file)}


def read_weight(file: Path, name: str) -> Tensor:
    """Read one weight, by its name in a file."""
    with safe_open(file, "pt") as weights:
        return weights.get_tensor(name)


def _names_in(file: Path) -> list[str]:
    try:
        with safe_open(file, "pt") as weights:
            return list(weights.keys())
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file}: damaged ({first_line(error)})") from error
