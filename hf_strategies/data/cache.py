"""Prepared data on disk: where it lies, how its name follows from content, and how it is made exactly once."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock

from hf_strategies.errors import UserError

WORTH_REMEMBERING = 1 << 20  # bytes; a smaller file is hashed faster than its remembered digest is found


def cache_folder() -> Path:
    """Return `$HF_STRATEGIES_CACHE`, else `$HF_HOME/hf_strategies`, else `~/.cache/huggingface/hf_strategies`."""
    if own := os.environ.get("HF_STRATEGIES_CACHE"):
        return Path(own).expanduser()
    host = os.environ.get("HF_HOME") or Path("~/.cache/huggingface")
    return Path(host).expanduser() / "hf_strategies"


def digest(parts: Iterable[str]) -> str:
    """Hash texts, in order, to 32 hexadecimal digits; ("ab", "c") and ("a", "bc") differ."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogateescape")  # a file's name may be any bytes
        state.update(len(encoded).to_bytes(8, "little") + encoded)
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """Hash a file's content; a large file that did not change (path, size, modification time) is not read again.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.st_size < WORTH_REMEMBERING:
        return _content_digest(path)
    name = digest([str(path.resolve()), str(stat.st_size), str(stat.st_mtime_ns)])
    folder = built_once("digests", name, lambda made: _write_digest(made, path))[0]
    return (folder / "digest").read_text()


def built_once(kind: str, name: str, build: Callable[[Path], None]) -> tuple[Path, bool]:
    """Return the folder `name` in the cache, made by `build` if it is not there yet.

    Processes that ask at the same time wait for the one that builds. A build works in a folder beside the final one
    that is renamed when complete, so whatever interrupts it, nothing half-written is ever read.

    Args:
        kind: Shelf of the cache ("tokens", "tokenizers").
        name: Digest of everything the result depends on.
        build: Fills the empty folder it is given; an `OSError` of it is one of writing.

    Returns:
        The folder, and whether it was there already.

    Raises:
        UserError: The cache cannot be written, or its disk is full.
    """
    folder = cache_folder() / kind / name
    if folder.is_dir():
        return folder, True
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(name + ".lock")):
            if folder.is_dir():
                return folder, True
            partial = folder.with_name(name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
            partial.mkdir()
            try:
                build(partial)
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"cannot write prepared data to {folder.parent}: {error.strerror or error}; "
            "set HF_STRATEGIES_CACHE to a writable folder with room"
        ) from error
    return folder, False


def _content_digest(path: Path) -> str:
    state = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                state.update(piece)
    except OSError as error:
        raise _unreadable(path, error) from error
    return state.hexdigest()


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be read: {error.strerror or error}")


def _write_digest(folder: Path, path: Path) -> None:
    (folder / "digest").write_text(_content_digest(path))
