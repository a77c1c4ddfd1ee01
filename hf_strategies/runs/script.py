"""The frame of every script: a user's mistake ends it with one line per mistake and an exit code."""

import errno
import functools
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from hf_strategies.distributed.lost_rank import noticing_lost_ranks
from hf_strategies.distributed.ranks import is_local_main_process, world_size
from hf_strategies.errors import LostRankError, StoppedError, UserError
from hf_strategies.runs.disk_errors import lossy_output, told_in_a_line
from hf_strategies.runs.launcher import stop_with_launcher

Result = TypeVar("Result")

# Of transformers' own making, wherever peft wraps a model.
HOSTS_OWN = "`is_gradient_checkpointing` is deprecated"

# bitsandbytes logs this wherever it is imported on a CPU, which peft does, also for runs that quantize nothing.
LOGGER, NOISE = "bitsandbytes.backends.cpu.ops", "Failed to load CPU gemm_4bit_forward"


def script(main: Callable[[Sequence[str] | None], Result]) -> Callable[..., Result]:
    """Wrap a script's `main(argv)` so that an error of ours prints its lines and exits with its code.

    With `--debug` on the command line the error keeps its traceback.
    """

    @functools.wraps(main)
    def wrapped(argv: Sequence[str] | None = None) -> Result:
        words = sys.argv[1:] if argv is None else argv
        # Read at torch's first tensor: Linux is asked for pages of 2 MiB, which a CPU's tensors take with fewer waits.
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
        logging.getLogger(LOGGER).addFilter(_is_news)
        warnings.filterwarnings("ignore", HOSTS_OWN)
        stop_with_launcher()
        with lossy_output():
            try:
                with told_in_a_line(), _naming_paths(), noticing_lost_ranks(), _ended_by_signals():
                    return main(words)
            except (UserError, StoppedError, LostRankError) as ended:
                label = "stopped" if isinstance(ended, StoppedError) else "error"
                if label == "error" and "--debug" in words:
                    raise
                if is_local_main_process():  # a file may be missing on one machine of several
                    for line in str(ended).splitlines():
                        print(f"{label}: {line}", file=sys.stderr, flush=True)
                raise SystemExit(ended.exit_code) from None

    return wrapped


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End in good order by a signal that comes before training or after it; training itself answers in its own way."""
    owner = os.getpid()

    def end(number: int, _: FrameType | None) -> None:
        if os.getpid() != owner:  # a data loader's worker, which was forked with this handler
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        raise StoppedError(f"{signal.Signals(number).name}, outside of training: nothing that was saved is lost")

    end.ends_process = True  # type: ignore[attr-defined]  # for those who would call it besides their own
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in _signals()}
    usual = (signal.SIG_DFL, signal.default_int_handler)
    taken = {number: handler for number, handler in previous.items() if handler in usual}
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def outlast_first_signal() -> None:
    """From now on a first signal ends nothing where several ranks finish a run together; a second one does.

    Training is done, and what is left takes little time. A rank that left alone would end the others with an error.
    """
    if world_size() == 1:
        return
    for number in _signals():
        end = signal.getsignal(number)
        if hasattr(end, "ends_process"):
            signal.signal(number, functools.partial(_note, end, os.getpid()))


def _note(end: Any, owner: int, number: int, frame: FrameType | None) -> None:
    signal.signal(number, end)
    if os.getpid() != owner:
        end(number, frame)
    name = signal.Signals(number).name
    print(f"{name}: training is done, and the run finishes first; another {name} ends it at once", flush=True)


def _signals() -> list[signal.Signals]:
    return [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


@contextmanager
def _naming_paths() -> Iterator[None]:
    """Take a path that no file system could have for its user's mistake, wherever it is first looked at."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise UserError(f"a path is too long to exist: {str(error.filename)[:60]}...") from error


def _is_news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(NOISE)
