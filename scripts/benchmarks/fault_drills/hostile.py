"""Twelve checkpoint folders made by an enemy: each is refused in a line, before anything of it has run.

The payload of a pickle would make a file; a refusal leaves none.
"""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .outcomes import Outcome
from .processes import Runs, command

INDEX = "model.safetensors.index.json"


class _Payload:
    """Runs a command where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return (os.system, (f"touch {self.mark}",))


def _index(name: str) -> Callable[[Path, Path], None]:
    """Put an index in the place of the weights that leads to `name`."""

    def make(folder: Path, mark: Path) -> None:
        weights = folder / "model.safetensors"
        weights.rename(mark.with_name("outside.safetensors"))
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {"lm_head.weight": name}}))

    return make


def _linked_folder(folder: Path, mark: Path) -> None:
    _index("inner/outside.safetensors")(folder, mark)
    (folder / "inner").symlink_to(mark.parent)


def _linked_weights(folder: Path, mark: Path) -> None:
    outside = mark.with_name("outside.safetensors")
    (folder / "model.safetensors").rename(outside)
    (folder / "model.safetensors").symlink_to(outside)


def _broken_index(folder: Path, _: Path) -> None:
    (folder / INDEX).write_text('{"weight_map": ["../outside.safetensors"]}')


def _code(config: str) -> Callable[[Path, Path], None]:
    """Have a config ask for Python code that lies beside it."""

    def make(folder: Path, mark: Path) -> None:
        path = folder / config
        stored = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(
            json.dumps({**stored, "auto_map": {"AutoConfig": "own.Config", "AutoTokenizer": "own.Config"}})
        )
        (folder / "own.py").write_text(f"open({str(mark)!r}, 'w')\nclass Config: pass\n")

    return make


def _pickled(name: str) -> Callable[[Path, Path], None]:
    """Put a payload into a pickle that torch is to load."""

    def make(folder: Path, mark: Path) -> None:
        (folder / name).write_bytes(pickle.dumps(_Payload(mark)))
        for stale in ("manifest.json", "model.safetensors" if name == "pytorch_model.bin" else ""):
            if stale:
                (folder / stale).unlink(missing_ok=True)

    return make


# What is done, and the setting by which the folder is given to a run.
HOSTILE: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "index to a relative path": (_index("../outside.safetensors"), "model_name_or_path"),
    "index to an absolute path": (_index("/etc/hostname"), "model_name_or_path"),
    "index through a linked folder": (_linked_folder, "model_name_or_path"),
    "index of another shape": (_broken_index, "model_name_or_path"),
    "weights that are a link": (_linked_weights, "model_name_or_path"),
    "code in the model's config": (_code("config.json"), "model_name_or_path"),
    "code in the tokenizer's config": (_code("tokenizer_config.json"), "model_name_or_path"),
    "payload in pickled weights": (_pickled("pytorch_model.bin"), "model_name_or_path"),
    "payload in the optimizer": (_pickled("optimizer.pt"), "resume_from_checkpoint"),
    "payload in the scheduler": (_pickled("scheduler.pt"), "resume_from_checkpoint"),
    "payload in the random state": (_pickled("rng_state.pth"), "resume_from_checkpoint"),
    "checkpoint with an index that leaves it": (_index("../outside.safetensors"), "resume_from_checkpoint"),
}


def drill(runs: Runs, corpus: Path, checkpoint: Path, folder: Path, *, kind: str) -> Outcome:
    """Give a hostile folder to a run.

    Args:
        runs: Starts processes.
        corpus: The run's text.
        checkpoint: A real checkpoint, of a run on that text.
        folder: Empty or missing; for what is made here.
        kind: A key of `HOSTILE`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made, mark = folder / "checkpoint-8", folder / "mark"
    shutil.copytree(checkpoint, made)
    make, setting = HOSTILE[kind]
    make(made, mark)
    settings: dict[str, Any] = {setting: made}
    argv = command(corpus, folder / "out", **settings)
    if setting == "model_name_or_path":  # which has sizes and a tokenizer of its own
        own = ("--hidden_size", "--num_hidden_layers", "--num_attention_heads", "--tokenizer", "--vocab_size")
        argv = [word for name, value in zip(argv[::2], argv[1::2]) if name not in own for word in (name, value)]
    run = runs.finish(argv)
    code = run.wait()
    if mark.exists():
        return Outcome(kind, "its payload has run")
    if code != 2:
        return Outcome(kind, f"exit code {code}: {run.said.strip()[-200:]}")
    if "Traceback" in run.said:
        return Outcome(kind, "a traceback")
    shutil.rmtree(folder)
    return Outcome(kind)
