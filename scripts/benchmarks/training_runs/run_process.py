"""A run in a process of its own: the only one in its folder, and gone when the benchmark is."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

WITH_PARENT = Path(__file__).with_name("with_parent.py")


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Create a folder and hold its lock, waiting for it first; yields the descriptor.

    Who waited may find the folder gone: it is removed by whoever made its run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for the same run of another benchmark, in {folder}", flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def run_script(script: Path, words: Sequence[str], *, log: Path, lock: int) -> int:
    """Run a script to its end and return its exit code; it ends with this process, however that ends.

    Args:
        script: The script.
        words: Its command line.
        log: Where its output goes.
        lock: Descriptor of a lock that is held until both this process and the script's have let go of it.
    """
    with (
        log.open("w", encoding="utf-8") as said,
        subprocess.Popen(
            [sys.executable, str(WITH_PARENT), str(script), *words],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock],
        ) as process,
    ):
        return process.wait()
