"""Whether the checkpoints that a run will keep fit on its disk, asked before it begins."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_strategies.checkpoints.rotation import most_kept
from hf_strategies.errors import UserError

ADAM_BYTES = 8  # per parameter: two buffers in float32, where an optimizer does not say what it keeps
MASTER_BYTES = 4  # per parameter that ZeRO trains: it keeps them, and the optimizer's state, in float32


def checkpoint_bytes(
    params: Iterable[tuple[Sequence[int], int, bool]],
    state_bytes: Callable[[Sequence[int], int, bool], int] | None,
    engine: Mapping[str, Any] | None = None,
) -> int:
    """Estimate the size of a checkpoint: weights and optimizer; all else in it is small.

    Args:
        params: Of each parameter its shape, the bytes of one element, and whether the optimizer's state is saved.
        state_bytes: As on the optimizer's shelf, asked about each as if it were no matrix (the larger half); None
            where it is not known.
        engine: DeepSpeed's settings; None without it. It writes weights that it does not cut a second time.
    """
    stage = ((engine or {}).get("zero_optimization") or {}).get("stage", 0)
    copies = 2 if engine is not None and stage < 3 and not engine.get("pipeline") else 1
    total = 0
    for shape, itemsize, trained in params:
        count = 1
        for side in shape:
            count *= side
        total += copies * count * itemsize
        if trained:
            kept_in = MASTER_BYTES if stage else itemsize
            total += state_bytes(shape, kept_in, False) if state_bytes else count * ADAM_BYTES
            total += MASTER_BYTES * count if stage else 0
    return total


def check_space(
    folder: Path, *, size: int, limit: int | None, keeps_best: bool = False, present: int = 0, free: int | None = None
) -> None:
    """Refuse a run whose checkpoints will not fit: those it keeps, and one more while it is written.

    Args:
        folder: Where they go; it exists.
        size: Bytes of one.
        limit: How many are kept; None keeps all, and asks for the space of as many as there must be.
        keeps_best: Whether the best of them is kept besides the newest.
        present: How many are there already.
        free: Bytes free on the disk; None looks.

    Raises:
        UserError: They do not fit.
    """
    available = shutil.disk_usage(folder).free if free is None else free
    kept = most_kept(limit, keeps_best=keeps_best)
    count = max(kept + 1 - present, 1)
    if count * size > available:
        lower = f"lower save_total_limit (now {limit}), " if kept > most_kept(None, keeps_best=keeps_best) else ""
        raise UserError(
            f"{count} more checkpoints of about {_gigabytes(size)} need {_gigabytes(count * size)}, and {folder} has "
            f"{_gigabytes(available)} free: {lower}free some, or choose another output_dir"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e7 else f"{count / 1e6:.2f} MB"
