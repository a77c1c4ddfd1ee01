"""The files that a path, a folder or a glob names."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from hf_strategies.errors import UserError


def matching_files(pattern: str) -> list[Path]:
    """List the files that a path, folder or glob names, sorted.

    Raises:
        UserError: There are none, or one cannot be read.
    """
    path = Path(pattern).expanduser()
    try:
        files = _files_at(path)
        for found in files:
            found.open("rb").close()
    except OSError as error:
        raise UserError(f"{error.filename or pattern}: cannot be read: {error.strerror}") from error
    if not files:
        raise UserError(f"{pattern}: no files" if path.is_dir() else f"{pattern}: no such file, and no files match it")
    return files


def _files_at(path: Path) -> list[Path]:
    """List the files that a path or glob names, sorted; empty ones are left out unless named themselves."""
    if path.is_file():
        if not path.stat().st_size:
            raise UserError(f"{path}: the file is empty")
        return [path]
    if path.is_dir():
        matches = _files_under(path)
    elif path.exists():
        raise UserError(f"{path}: not a regular file; it must be read more than once")
    else:
        matches = map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207 - the pattern may be absolute
    return sorted(found for found in matches if found.is_file() and found.stat().st_size)


def _files_under(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and in those below it, also behind links, hidden ones left out."""

    def refuse(error: OSError) -> None:
        raise error

    visited = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        stat = Path(place).stat()
        if (stat.st_dev, stat.st_ino) in visited:  # a link that leads back
            folders.clear()
            continue
        visited.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in names if not name.startswith("."))
