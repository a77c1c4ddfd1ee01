"""Where a run hangs: the stacks of all its threads, once nothing has happened for too long."""

import faulthandler
import sys
import threading
import time
from pathlib import Path


class HangWatchdog:
    """Dump stacks to a file and to stderr when `feed` was not called for `timeout` seconds, once per silence.

    It looks on from a thread of its own, inside `with`, and ends nothing.

    Args:
        timeout: Seconds of silence; None watches nothing.
        path: The file, which is appended to.
    """

    def __init__(self, timeout: float | None, path: str | Path) -> None:
        self.timeout = timeout
        self.path = Path(path)
        self._fed = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="hang watchdog", daemon=True)

    def __enter__(self) -> "HangWatchdog":
        if self.timeout is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self.timeout is not None:
            self._thread.join()

    def feed(self) -> None:
        """Say that the run goes on."""
        self._fed = time.monotonic()

    def _watch(self) -> None:
        assert self.timeout is not None
        dumped, wait = 0.0, self.timeout
        while not self._over.wait(wait):
            fed = self._fed
            wait = max(fed + self.timeout - time.monotonic(), 0.0)
            if wait == 0.0:
                wait = self.timeout
                if dumped != fed:
                    dumped = fed
                    self._dump(time.monotonic() - fed)

    def _dump(self, silence: float) -> None:
        said = f"nothing has happened for {silence:.0f} s; the stacks of all threads (also in {self.path}):"
        print(said, file=sys.stderr, flush=True)
        if sys.__stderr__ is not None:  # a process without a terminal may have none
            faulthandler.dump_traceback(sys.__stderr__)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')}: {said}\n")
                file.flush()
                faulthandler.dump_traceback(file)
        except OSError as error:
            print(f"{self.path} cannot be written: {error.strerror}", file=sys.stderr, flush=True)
