"""Which checkpoints may go: a pure decision over what is known of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MIN_VERIFIED = 2  # a disk that goes bad under the newest still leaves one


@dataclass(frozen=True)
class Stored:
    """A checkpoint on disk.

    Args:
        path: Its folder.
        step: Updates that it stands after.
        verified: Whether it has a manifest, and every file in it at its size.
        healthy: False once the run is known to have gone wrong right after it.
    """

    path: Path
    step: int
    verified: bool = True
    healthy: bool = True


def to_remove(checkpoints: Iterable[Stored], *, limit: int, newest: int, best: int | None) -> list[Stored]:
    """Choose what to remove so that about `limit` checkpoints are left, the oldest first.

    Unhealthy ones go before healthy ones, however new they are; then those of later steps than the newest, which a run
    that went back has left behind. The last two in this order are kept, as is the best. What does not verify is no
    checkpoint: it is neither counted nor removed.

    Args:
        checkpoints: All that are there.
        limit: How many to keep.
        newest: Step of the one that has just been published.
        best: Step of the one with the best metric.
    """
    whole = [item for item in checkpoints if item.verified]
    whole.sort(key=lambda item: (item.healthy, item.step <= newest, item.step))
    kept = {item.step for item in whole if item.step == best} | {item.step for item in whole[-MIN_VERIFIED:]}
    surplus = len(whole) - max(limit, len(kept))
    return [item for item in whole if item.step not in kept][: max(surplus, 0)]


def most_kept(limit: int | None, *, keeps_best: bool) -> int:
    """Return how many checkpoints `to_remove` leaves at most; without a limit, how many it would at least."""
    return max(limit or 0, MIN_VERIFIED + keeps_best)
