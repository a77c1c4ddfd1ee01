"""When a job must be over: its own budget of hours, and the end that SLURM has set for it."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_HOURS, SLURM_END = "max_hours", "SLURM_JOB_END_TIME"
SLURM_SLACK = 30.0  # seconds: what is late is killed there

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Deadline:
    """A time by which a run must have saved and stopped.

    Args:
        name: What set it.
        at: Seconds since 1970.
        slack: Seconds that must be left besides.
    """

    name: str
    at: float
    slack: float = 0.0


def deadlines(max_hours: float | None, *, started: float, environ: Mapping[str, str]) -> list[Deadline]:
    """List the deadlines of a job.

    Args:
        max_hours: Its budget; None for no limit.
        started: When it began, in seconds since 1970.
        environ: Environment variables; SLURM says there when it will end the job.
    """
    found = [] if max_hours is None else [Deadline(MAX_HOURS, started + 3600 * max_hours)]
    written = environ.get(SLURM_END, "")
    if re.fullmatch(r"\d{1,12}", written):
        found.append(Deadline(SLURM_END, float(written), SLURM_SLACK))
    elif written:
        logger.warning("%s is no time: expected seconds since 1970, got %r", SLURM_END, written)
    return found


def due(
    known: list[Deadline], *, now: float, update_seconds: float, evaluation_seconds: float, save_seconds: float
) -> str | None:
    """Name the deadline that leaves no room for another update, an evaluation and a save; None while all of them do.

    Args:
        known: All deadlines.
        now: Seconds since 1970.
        update_seconds: What the last update took.
        evaluation_seconds: What the last evaluation took.
        save_seconds: What the last save took; the next may take twice that.
    """
    needed = update_seconds + evaluation_seconds + 2 * save_seconds
    return next((deadline.name for deadline in known if now + needed + deadline.slack > deadline.at), None)
