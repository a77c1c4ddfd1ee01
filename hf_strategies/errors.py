"""Errors that a user can meet, each with the exit code of the script that ends on it."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in what the user asked for: shown as plain text, without a traceback, with exit code 2."""

    exit_code = 2


class MissingPackageError(UserError, ImportError):
    """An optional package is not installed; the message is the line that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package}: pip install 'hf_strategies[{extra}]'")


class NoCheckpointError(UserError):
    """A run's folder holds checkpoints, and none of them is whole."""

    exit_code = 18


class TrainingDivergedError(UserError):
    """Training went wrong again and again, and going back did not help."""

    exit_code = 17


class StoppedError(Exception):
    """A run was asked to stop from outside and did so in good order; the message says how it goes on."""

    exit_code = 143  # what a shell says of a process that SIGTERM has ended


class LostRankError(Exception):
    """Another process of the job is gone, and this one stops with it."""

    exit_code = 1


def did_you_mean(word: object, known: Iterable[object]) -> str:
    """Return `, did you mean 'x'?` for the known name nearest to `word`, or nothing when none is near."""
    by_lowered = {str(name).lower(): str(name) for name in known}
    near = difflib.get_close_matches(str(word).lower(), by_lowered, n=1)
    return f", did you mean {by_lowered[near[0]]!r}?" if near else ""


def as_written(value: object) -> object:
    """Return a number as its user would write it: 500 for the 500.0 that a setting of fractions has become."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def first_line(error: BaseException) -> str:
    """Return what another library's error says, on one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
