"""Signals that ask a run to stop, caught for as long as it trains."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

# SIGUSR1 is what SLURM can be told to send before the end of a job (sbatch --signal=USR1@120).
NAMES = tuple(name for name in ("SIGUSR1", "SIGINT", "SIGTERM") if hasattr(signal, name))
FORWARDED = 1.0  # seconds in which launchers pass on what a terminal has sent to their processes too


class StopSignals:
    """Remember which signal came, inside `with`; a second one ends the process at once, as if nobody had caught it.

    What a launcher sends on does not count as a second one: neither what comes within a second, nor the news of the
    launcher's own end. A handler that was there before is called too, unless it ends the process, and is put back; a
    signal that was ignored stays so. Outside of the main thread Python catches no signals, and neither does this.

    Args:
        announce: Say on stderr that a signal came, since an update may still take long.
    """

    def __init__(self, *, announce: bool) -> None:
        self.received: str | None = None
        self._announce = announce
        self._first_at = 0.0
        self._process = os.getpid()
        self._parent = os.getppid()
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for name in NAMES:
                number = getattr(signal, name)
                previous = signal.getsignal(number)
                if previous not in (signal.SIG_IGN, None):  # None: of a C library, which nobody could put back
                    self._previous[number] = previous
                    signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous.items():
            if signal.getsignal(number) == self._receive:  # or somebody's who came later, and shall keep it
                signal.signal(number, previous)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a data loader's worker, forked with this handler
            if number != signal.SIGINT:  # which a terminal sends to all, while the run still needs its batches
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        parent, self._parent = self._parent, os.getppid()
        is_second = self.received is not None
        if not is_second:
            self._first_at = time.monotonic()
            self.received = signal.Signals(number).name
            if self._announce:  # print could have been interrupted right in the middle of itself
                said = f"{self.received}: saving and stopping after this update; once more ends it at once\n"
                os.write(2, said.encode())
        previous: Callable | Any = self._previous[number]
        if callable(previous) and not getattr(previous, "ends_process", previous is signal.default_int_handler):
            previous(number, frame)
        if is_second and parent == self._parent and time.monotonic() - self._first_at >= FORWARDED:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
