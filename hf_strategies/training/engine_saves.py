"""What a rank of DeepSpeed's engine does when it cannot write its part of a checkpoint."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import distributed


@contextmanager
def goes_on_unwritten(engine: Any, attempt: Callable[..., None]) -> Iterator[None]:
    """Let a rank go on with a checkpoint that it cannot write: the others wait for it in what comes next.

    Args:
        engine: DeepSpeed's, about to save.
        attempt: Calls its first argument with the others, and keeps an error of the disk to itself.
    """
    save = engine.save_checkpoint

    def save_to_the_end(*args: Any, **kwargs: Any) -> None:
        try:
            save(*args, **kwargs)
        except OSError:  # all that can still fail is the file with the newest one's name, before the last barrier
            distributed.barrier()
            raise

    writer = engine.checkpoint_engine
    places = [(writer, "makedirs"), (writer, "save"), (engine, "_copy_recovery_script")]
    for owner, name in places:
        setattr(owner, name, partial(attempt, getattr(owner, name)))
    engine.save_checkpoint = save_to_the_end
    try:
        yield
    finally:
        for owner, name in [*places, (engine, "save_checkpoint")]:
            delattr(owner, name)
