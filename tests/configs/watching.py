"""Launched jobs from outside: their processes, and how far they are."""

import time
from collections.abc import Callable
from typing import Any

import psutil


def workers(job: Any) -> list[psutil.Process]:
    """Return the processes that a launcher has started to train, in the order of their ranks."""
    found = [
        process for process in psutil.Process(job.process.pid).children() if "scripts" in " ".join(process.cmdline())
    ]
    return sorted(found, key=lambda process: int(process.environ()["RANK"]))


def wait_for(happens: Callable[[], bool], *jobs: Any, seconds: float = 300) -> None:
    """Wait until something happens while jobs run."""
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        assert all(job.process.poll() is None for job in jobs), jobs[0].said()[-3000:]
        time.sleep(0.1)
