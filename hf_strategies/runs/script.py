"""The frame of every script: a user's mistake ends it with one line per mistake and an exit code."""

import errno
import functools
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from hf_strategies.distributed.ranks import is_local_main_process
from hf_strategies.errors import StoppedError, UserError
from hf_strategies.runs.launcher import stop_with_launcher

Result = TypeVar("Result")

# bitsandbytes logs this wherever it is imported on a CPU, which peft does, also for runs that quantize nothing.
LOGGER, NOISE = "bitsandbytes.backends.cpu.ops", "Failed to load CPU gemm_4bit_forward"


def script(main: Callable[[Sequence[str] | None], Result]) -> Callable[..., Result]:
    """Wrap a script's `main(argv)` so that a `UserError` or `StoppedError` prints its lines and exits with its code.

    With `--debug` on the command line the error keeps its traceback.
    """

    @functools.wraps(main)
    def wrapped(argv: Sequence[str] | None = None) -> Result:
        words = sys.argv[1:] if argv is None else argv
        logging.getLogger(LOGGER).addFilter(_is_news)
        stop_with_launcher()
        try:
            with _naming_paths():
                return main(words)
        except (UserError, StoppedError) as ended:
            label = "stopped" if isinstance(ended, StoppedError) else "error"
            if label == "error" and "--debug" in words:
                raise
            if is_local_main_process():  # a file may be missing on one machine of several
                for line in str(ended).splitlines():
                    print(f"{label}: {line}", file=sys.stderr, flush=True)
            raise SystemExit(ended.exit_code) from None
        except KeyboardInterrupt:  # before training or after it, or for the second time in it
            if is_local_main_process():
                print("stopped: SIGINT", file=sys.stderr, flush=True)
            raise SystemExit(StoppedError.exit_code) from None

    return wrapped


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
