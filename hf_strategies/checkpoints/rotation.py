"""Which checkpoints may go: a pure decision over what is known of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

MIN_VERIFIED = 2  # a disk that goes bad under the newest still leaves one


@dataclass(frozen=True)
class Stored:
    """A checkpoint on disk.

    Args:
        path: Its folder.
        step: Updates that it stands after.
        verified: Whether it was whole when it was last looked at.
        healthy: False once the run is known to have gone wrong right after it.
    """

    path: Path
    step: int
    verified: bool = True
    healthy: bool = True


def to_remove(checkpoints: Iterable[Stored], *, limit: int | None, best: Path | None) -> list[Stored]:
    """Choose what to remove so that about `limit` checkpoints are left, the oldest first.

    The best one is kept, as are the newest two that verify and are healthy; an unhealthy one goes before a healthy
    one, however new it is. What does not verify is no checkpoint: it is neither counted nor removed.

    Args:
        checkpoints: All that are there.
        limit: How many to keep; None removes nothing.
        best: The one with the best metric.
    """
    if limit is None:
        return []
    whole = sorted((item for item in checkpoints if item.verified), key=lambda item: (item.healthy, item.step))
    protected = protected_paths(whole, best)
    surplus = len(whole) - max(limit, len(protected))
    return [item for item in whole if item.path not in protected][: max(surplus, 0)]


def protected_paths(whole: Sequence[Stored], best: Path | None) -> set[Path]:
    """List what is never removed, of checkpoints in the order in which they would be."""
    safe = {item.path for item in whole[-MIN_VERIFIED:]}
    return safe | {item.path for item in whole if best is not None and item.path == best}
