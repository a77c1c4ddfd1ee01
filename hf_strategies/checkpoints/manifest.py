"""`manifest.json`: what a checkpoint consists of, written last, so that a folder can prove that it is whole.

It names every file with its size and SHA-256, and says what the checkpoint is of: its step, the samples and tokens
seen, the ranks, and, once that is known, whether the run went well after it (`healthy`). A folder is whole exactly
when `damages` finds nothing.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hf_strategies.errors import UserError, first_line

FILE_NAME = "manifest.json"
FORMAT = 1
THREADS = 4  # hashing and syncing leave the interpreter's lock alone; a disk seldom serves more at once
PIECE = 1 << 20  # bytes read at once: the digest of a file of any size takes this much memory


class DamagedManifestError(UserError):
    """A manifest is not one any more."""


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Make the files of a finished checkpoint durable, and prove them by a manifest.

    Args:
        folder: The checkpoint; nobody writes to it any more.
        facts: What it is of, as JSON values.

    Raises:
        OSError: A file cannot be read or synced, or the manifest not be written.
    """
    files = files_in(folder)
    with ThreadPoolExecutor(THREADS) as pool:
        digests = list(pool.map(_sync_and_hash, (folder / name for name in files)))
    listed = {name: {"size": size, "sha256": digest} for name, (size, digest) in zip(files, digests)}
    _write(folder, {"format": FORMAT, **facts, "files": listed})
    for place in sorted({(folder / name).parent for name in files} | {folder}):
        sync_folder(place)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Read what a checkpoint's manifest says; None where there is none.

    Raises:
        DamagedManifestError: It is damaged.
        UserError: It cannot be read, or a newer version has written it: nobody can say.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        stored = json.loads(text)
        files = {name: (int(item["size"]), str(item["sha256"])) for name, item in stored["files"].items()}
        version = int(stored["format"])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise DamagedManifestError(f"{path}: damaged ({first_line(error)})") from error
    if version > FORMAT:
        raise UserError(f"{path}: of format {version}, expected at most {FORMAT}: update hf_strategies to read it")
    return {**stored, "files": files}


def mark_health(folder: Path, *, healthy: bool) -> None:
    """Write into a whole checkpoint's manifest how the run went right after it."""
    stored = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    _write(folder, {**stored, "healthy": healthy})


def damages(folder: Path) -> list[str]:
    """List every way in which a folder is not what its manifest says; nothing for a whole checkpoint.

    Reads every byte: about a second per gigabyte and thread. Files that the manifest does not know are not looked at.

    Raises:
        UserError: It cannot be told whether the folder is whole: a file cannot be read, or a newer version wrote it.
    """
    try:
        manifest = read_manifest(folder)
    except DamagedManifestError as error:
        return [str(error)]
    if manifest is None:
        return [f"{folder}: has no {FILE_NAME}"]
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda item: _damage(folder / item[0], *item[1]), manifest["files"].items())
        return [said for said in found if said]


def has_its_files(folder: Path, manifest: Mapping[str, Any]) -> bool:
    """Tell whether all files that a manifest names are there at their sizes: all that can be said without reading."""
    return not any(_damage(folder / name, size, None) for name, (size, _) in manifest["files"].items())


def files_in(folder: Path) -> list[str]:
    """List the files below a folder by their relative names, the manifest left out."""
    names = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
    return [name for name in names if name != FILE_NAME]


def fingerprint(parts: Iterable[str]) -> str:
    """Hash texts, in order, to 16 hexadecimal digits."""
    state = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogateescape")
        state.update(len(encoded).to_bytes(8, "little") + encoded)
    return state.hexdigest()[:16]


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder durable; some file systems cannot, and need not."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Put a manifest in place in one move."""
    written = folder / f".{FILE_NAME}.tmp"
    try:
        with written.open("w", encoding="utf-8") as file:
            file.write(json.dumps(manifest, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        written.replace(folder / FILE_NAME)
    except OSError:
        with contextlib.suppress(OSError):
            written.unlink()
        raise


def _sync_and_hash(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = _digest(file)
        return file.tell(), digest


def _damage(path: Path, size: int, sha256: str | None) -> str:
    """Say what is wrong with one file, or nothing; its content is looked at last, and only for a digest."""
    try:
        found = path.stat().st_size
        if found != size:
            return f"{path}: {found:,} bytes, expected {size:,}"
        if sha256 is None:
            return ""
        with path.open("rb") as file:
            return "" if _digest(file) == sha256 else f"{path}: its content has changed since it was saved"
    except (FileNotFoundError, NotADirectoryError):
        return f"{path}: missing"
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def _digest(file: Any) -> str:
    state = hashlib.sha256()
    while piece := file.read(PIECE):
        state.update(piece)
    return state.hexdigest()
