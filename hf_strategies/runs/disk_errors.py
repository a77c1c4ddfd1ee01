"""A disk that takes no more, wherever a script meets it: in a line, and not for want of a line."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from hf_strategies.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


class Lossy:
    """A stream that loses what a full disk does not take, instead of ending whoever writes to it.

    Args:
        stream: Where it goes to: a terminal, a pipe, or a file that may share its disk with the run.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _forgiving():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with _forgiving():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def lossy_output() -> Iterator[None]:
    """Let stdout and stderr lose what a full disk does not take."""
    with redirect_stdout(Lossy(sys.stdout)), redirect_stderr(Lossy(sys.stderr)):
        yield


@contextmanager
def told_in_a_line() -> Iterator[None]:
    """Name the file that a full disk did not take.

    Raises:
        UserError: There was one.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        place = error.filename or "a file"
        raise UserError(f"{place} cannot be written ({error.strerror}): free space on its disk") from error


@contextmanager
def _forgiving() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
