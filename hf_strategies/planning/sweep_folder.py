"""A sweep on disk: what was asked, and the lock that keeps a second one, or a trial left over, away from it."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hf_strategies.arguments.resolved import NOT_IDENTITY, resolved_settings
from hf_strategies.errors import UserError
from hf_strategies.planning.sweep_request import SweepRequest
from hf_strategies.planning.sweep_space import Choices
from hf_strategies.planning.sweep_texts import digest_texts
from hf_strategies.runs.output_folder import create_folder, create_next

ASKED, LOCK, TRIALS = "sweep.yaml", ".lock", "trials"


def open_sweep_folder(request: SweepRequest) -> Path:
    """Choose and create a sweep's folder; a folder that holds this same sweep, or a smaller one of it, is continued.

    Raises:
        UserError: The folder holds something else, or cannot be written; a text cannot be read.
    """
    asked = describe_request(request)
    if request.options.output_dir is None:
        folder = create_next(f"{request.kind}-{request.base.name}")
    else:
        folder = Path(request.options.output_dir).expanduser()
        create_folder(folder)
    path = folder / ASKED
    if path.is_file():
        changed = list(differences(yaml.safe_load(path.read_text(encoding="utf-8")), asked))
        if changed:
            raise UserError(f"output_dir {folder} holds another sweep, which differs in\n" + "\n".join(changed))
    elif any(item.name != LOCK for item in folder.iterdir()):
        raise UserError(f"output_dir {folder} holds something else; choose another folder")
    written = folder / f".{ASKED}.tmp"
    text = yaml.safe_dump(asked, sort_keys=False, width=10_000)
    written.write_text(f"# What this sweep was asked; the same command continues it.\n{text}", encoding="utf-8")
    written.replace(path)
    return folder


def describe_request(request: SweepRequest) -> dict[str, Any]:
    """Say what a sweep is asked, in what YAML knows: settings that all trials share are the resolved ones.

    Texts are there by content as well: a corpus that has changed under its name makes another sweep.
    """
    varied = {axis.name for axis in request.axes}
    shared = {"recipe": request.base.recipe, **resolved_settings(request.base)}
    for name in [name for name, value in shared.items() if isinstance(value, dict)]:
        shared[name] = {key: value for key, value in shared[name].items() if f"{name}.{key}" not in varied}
    return {
        "search": request.options.search,
        "trials": request.options.trials,
        "seeds": [seed for seed in request.seeds if seed is not None],
        "vary": {
            axis.name: list(axis.values) if isinstance(axis, Choices) else f"{axis.low:g}..{axis.high:g}"
            for axis in request.axes
        },
        "settings": {name: value for name, value in shared.items() if name not in varied | NOT_IDENTITY},
        "texts": {} if request.base.data.streaming else digest_texts(request.texts),
    }


def differences(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Say in what a sweep differs from an earlier one, except in being more of the same.

    A grid may get more values, a random draw and optuna more trials, and seeds may join others: what was tried stays.
    """
    if earlier["search"] != now["search"]:
        yield f"search: {earlier['search']} there, {now['search']} here"
    if (earlier["trials"] or 0) > (now["trials"] or 0):
        yield f"trials: {earlier['trials']} there, {now['trials']} here"
    if earlier["seeds"] != now["seeds"] and not _contains(now["seeds"], earlier["seeds"]):
        yield f"seeds: {earlier['seeds']} there, {now['seeds']} here"
    for part in ("vary", "settings"):
        before, after = earlier[part], now[part]
        for name in dict.fromkeys([*before, *after]):
            old, new = before.get(name), after.get(name)
            if old != new and not (part == "vary" and now["search"] == "grid" and _contains(new, old)):
                yield f"{name}: {_shown(old)} there, {_shown(new)} here"
    for name, old in earlier["texts"].items():
        if now["texts"].get(name, old) != old:
            yield f"the text of {name}: it has changed since"


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold a folder's lock, and wait for it first; yields its file descriptor.

    A process that is started with the descriptor open holds the lock, too: a trial that outlives its sweep keeps the
    next one waiting, instead of two processes writing to one folder.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting   for another sweep in {folder}, or for a trial that has outlived one", flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _contains(larger: Any, smaller: Any) -> bool:
    """Tell whether a list that is not empty became a longer one."""
    return isinstance(larger, list) and isinstance(smaller, list) and bool(smaller) and set(smaller) <= set(larger)


def _shown(value: Any) -> str:
    return "nothing" if value is None else ",".join(map(str, value)) if isinstance(value, list) else str(value)
