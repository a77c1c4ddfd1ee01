"""Leaving torch.distributed at the end of a run."""

import time

PAUSE = 0.2  # seconds; a thread that is ready to run gets its turn long before, on a busy machine too


def leave_process_group() -> None:
    """Wait for all ranks, then leave the process group; without one, do nothing.

    A worker thread of gloo frees the tensors of a collective a moment after the collective is done. One that does so
    while Python is already exiting aborts the process (SIGABRT after a good run; Python 3.13 and older), hence the
    pause.
    """
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return
    distributed.barrier()
    time.sleep(PAUSE)
    distributed.destroy_process_group()
