"""A data loader whose workers may die: noticed where a batch is fetched, and started again from there."""

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from hf_strategies.errors import UserError, first_line
from hf_strategies.training.feed.global_streams import streams_aside

MAX_RESTARTS = 3  # in a row, without a batch between them
SIGCHLD: Any = getattr(signal, "SIGCHLD", None)  # Windows has none


class HeldSignal:
    """Keeps SIGCHLD from its handler, except while a batch is fetched.

    torch's handler raises an error wherever the program happens to be when a worker dies: in the middle of a backward
    pass, which nothing can take up again. Held back, the death is told at the next fetch.

    Args:
        needed: Whether there are workers at all.
    """

    def __init__(self, needed: bool) -> None:
        self.needed = needed
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._can_hold = needed and SIGCHLD is not None and in_main_thread
        self._handler: Any = None
        self._arrived = False
        if self._can_hold:
            self._hold_back()

    @contextmanager
    def delivered(self) -> Iterator[None]:
        """Let the signal through inside, and what came before at once."""
        if not self._can_hold:
            yield
            return
        self.release()
        try:
            if self._arrived:
                self._arrived = False
                signal.raise_signal(SIGCHLD)
            yield
        finally:
            self._hold_back()  # from whatever handles it by now: torch's comes with the first worker

    def release(self) -> None:
        """Let the signal through from now on."""
        if self._can_hold:
            signal.signal(SIGCHLD, self._handler)

    def _hold_back(self) -> None:
        self._handler = signal.signal(SIGCHLD, self._note) or signal.SIG_DFL

    def _note(self, *_: Any) -> None:
        self._arrived = True


class Delivery(Iterator):
    """The batches of one pass; when a worker dies, from a new loader that begins where the old one ended.

    Args:
        batches: The loader's iterator.
        reopen: Begins anew behind so many batches of the pass.
        num_batches: Batches of the pass that lie before the first of `batches`.
        deaths: Lets the death of a worker be noticed.
        tell: Is told of each restart: the batches before it, and why.
        keyed: Nothing in the loader depends on the global random streams; it must not move them either.
    """

    def __init__(
        self,
        batches: Iterator,
        reopen: Callable[[int], Iterator],
        *,
        num_batches: int,
        deaths: HeldSignal,
        tell: Callable[[int, str], None],
        keyed: bool,
    ) -> None:
        self.batches = batches
        self.reopen = reopen
        self.num_batches = num_batches
        self.deaths = deaths
        self.tell = tell
        self._num_restarts = 0  # since the last batch
        # A loader draws from torch's global stream when it begins: not when its workers live on from the epoch before,
        # but again after a restart or a resume.
        self._begins = keyed

    def __next__(self) -> Any:
        while True:
            try:
                with self.deaths.delivered(), streams_aside() if self._begins else nullcontext():
                    batch = next(self.batches)
            except UserError as error:
                if not self.deaths.needed:
                    raise
                raise UserError(_without_traceback(str(error))) from error
            except (RuntimeError, OSError, EOFError) as error:
                if not (self.deaths.needed and is_death(error)):
                    raise
                lost = "" if isinstance(error, RuntimeError) else "DataLoader worker lost: "
                reason = lost + first_line(error)
            else:
                self.num_batches += 1
                self._num_restarts, self._begins = 0, False
                return batch
            # Outside of `except`: the error's traceback holds the old loader, whose workers would go on.
            if self._num_restarts == MAX_RESTARTS:
                raise UserError(
                    f"a data loader's worker died {MAX_RESTARTS + 1} times before batch {self.num_batches + 1} came "
                    f"({reason}): is there too little memory? Try fewer workers, or dataloader_num_workers 0"
                )
            self._num_restarts, self._begins = self._num_restarts + 1, True
            self.tell(self.num_batches, reason)
            self.batches = self.reopen(self.num_batches)


def _without_traceback(said: str) -> str:
    """Return what an error of ours said before torch wrapped it with the traceback of the worker that raised it."""
    return re.split(r"^hf_strategies[\w.]*Error: ", said, flags=re.MULTILINE)[-1].strip()


def is_death(error: BaseException) -> bool:
    """Tell whether what a loader with workers has raised means that one is gone, and not that it reports an error.

    While a worker is dying, torch may not know it yet: then the connection breaks over which a tensor comes.
    """
    said = str(error)
    if isinstance(error, OSError | EOFError):
        return "in DataLoader worker process" not in said
    return re.match(r"DataLoader worker \(pid|received \d+ items of ancdata", said) is not None
