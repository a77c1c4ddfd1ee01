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
        healthy: Whether the run went well after it; None while a step guard has still to see that.
    """

    path: Path
    step: int
    verified: bool = True
    healthy: bool | None = True


def to_remove(checkpoints: Iterable[Stored], *, limit: int, newest: int, best: int | None) -> list[Stored]:
    """Choose what to remove so that about `limit` checkpoints are left, the oldest first.

    Unhealthy ones go before the others, however new they are; then those of later steps than the newest, which a run
    that went back has left behind. Kept are the last in this order; the newest that is proven healthy, with the first
    after it that has still to be, since a run that has harmed its weights must find a way back; at least two; and the
    best. What does not verify is no checkpoint: it is neither counted nor removed.

    Args:
        checkpoints: All that are there.
        limit: How many to keep.
        newest: Step of the one that has just been published.
        best: Step of the one with the best metric.
    """
    whole = [item for item in checkpoints if item.verified]
    whole.sort(key=lambda item: (item.healthy is not False, item.step <= newest, item.step))
    proven = max((place for place, item in enumerate(whole) if item.healthy), default=-1)
    on_trial = [item for item in whole[proven + 1 :] if item.healthy is None and item.step <= newest]
    kept = {item.step for item in (*whole[-1:], *whole[: proven + 1][-1:], *on_trial[:1])}
    if len(kept) < MIN_VERIFIED:
        kept |= {item.step for item in whole[-MIN_VERIFIED:]}
    kept |= {item.step for item in whole if item.step == best}
    surplus = len(whole) - max(limit, len(kept))
    return [item for item in whole if item.step not in kept][: max(surplus, 0)]


def most_kept(limit: int | None, *, keeps_best: bool) -> int:
    """Return how many are left by `to_remove` where each is proven before the next; without a limit, the least."""
    return max(limit or 0, MIN_VERIFIED + keeps_best)
