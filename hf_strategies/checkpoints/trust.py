"""What a folder of weights may not do to whoever loads it: reach outside of itself, or run code.

safetensors and JSON are data. A pickle is read by torch with `weights_only=True` alone, which refuses whatever is not
a tensor or a plain container; an index of shards, though, is followed wherever it points
(`transformers.modeling_utils`), and a folder may ask for its own Python files to be imported (`auto_map`).
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from hf_strategies.errors import UserError, first_line

INDEXES = ("*.index.json",)
CONFIGS = ("config.json", "tokenizer_config.json", "adapter_config.json", "generation_config.json")


def refuse_untrusted(folder: Path, *, trust_remote_code: bool = False) -> None:
    """Refuse a folder that must not be loaded; call it before anything in it is read by a library.

    Args:
        folder: A model or a checkpoint.
        trust_remote_code: The user's own flag: the folder's Python files may be imported.

    Raises:
        UserError: One line per reason.
    """
    reasons = list(dangers(folder, trust_remote_code=trust_remote_code))
    if reasons:
        raise UserError("\n".join(f"{folder} is not loaded: {reason}" for reason in reasons))


def dangers(folder: Path, *, trust_remote_code: bool = False) -> Iterator[str]:
    """Yield why a folder must not be loaded; nothing for a harmless one."""
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and not path.resolve().is_relative_to(hub_blobs(root)):
            yield f"{path.relative_to(folder)} is a link to a place outside"
    for pattern in INDEXES:
        for index in sorted(folder.glob(pattern)):
            yield from _index_dangers(index)
    if not trust_remote_code:
        for name in CONFIGS:
            if (folder / name).is_file() and _asks_for_code(folder / name):
                yield f"{name} asks to run the folder's own code (auto_map): allow it with --trust_remote_code"


def hub_blobs(root: Path) -> Path:
    """Return the folder that links may lead into: a Hub cache keeps content in `blobs`, beside `snapshots`."""
    return root.parents[1] if root.parent.name == "snapshots" and (root.parents[1] / "blobs").is_dir() else root


def _index_dangers(index: Path) -> Iterator[str]:
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        yield f"{index.name} cannot be read ({first_line(error)})"
        return
    for name in sorted(map(str, names)):
        if _leaves(name):
            yield f"{index.name} points outside of the folder, to {name!r}"


def _leaves(name: str) -> bool:
    """Tell whether a shard's name is anything but one of a file in the folder, on any system."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    return posix.is_absolute() or bool(windows.drive or windows.root) or ".." in posix.parts + windows.parts


def _asks_for_code(config: Path) -> bool:
    try:
        stored = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False  # whoever loads it says what is wrong
    return isinstance(stored, dict) and bool(stored.get("auto_map"))
