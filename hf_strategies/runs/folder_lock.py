"""One run at a time in a folder: two would clear each other's drafts, and cut each other's log."""

import errno
from pathlib import Path
from typing import IO

from hf_strategies.errors import UserError

FILE_NAME = ".lock"
_held: dict[Path, IO] = {}  # by folder; what is held is let go when the process ends, however it ends


def hold(folder: Path) -> None:
    """Keep other processes from running in a folder, as long as this one lives.

    Where file systems or Windows know no such locks, nobody is kept out.

    Raises:
        UserError: Another process runs in it.
    """
    try:
        import fcntl
    except ImportError:
        return
    place = folder.resolve()
    if place in _held:
        return
    file = (folder / FILE_NAME).open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise UserError(f"output_dir {folder}: another process runs in it; wait for it, or stop it") from None
        return
    _held[place] = file


def let_go(folder: Path) -> None:
    """Let others run in a folder again."""
    if (file := _held.pop(folder.resolve(), None)) is not None:
        file.close()
