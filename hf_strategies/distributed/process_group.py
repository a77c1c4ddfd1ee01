"""Joining torch.distributed where a launcher has started a job again, and leaving it at the end of a run."""

import os
import time
from datetime import timedelta

from hf_strategies.distributed.ranks import world_size

PAUSE = 0.2  # seconds; a thread that is ready to run gets its turn long before, on a busy machine too


def rejoin_process_group(*, use_cpu: bool, timeout: float) -> None:
    """Form the process group of a job that its launcher has started again; of any other, leave that to the host.

    torchrun keeps one store for all attempts (its static rendezvous does, which `accelerate launch --max_restarts`
    has), and processes meet there under the same names each time: one may find the address of another that is gone,
    and both would wait for `timeout`. Each attempt therefore gets names of its own.

    Args:
        use_cpu: Whether all of it is done on the CPU.
        timeout: Of collectives, in seconds.
    """
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if attempt == "0" or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or world_size() == 1:
        return
    from torch import distributed

    waits = timedelta(seconds=timeout)
    store = distributed.TCPStore(
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), world_size(), is_master=False, timeout=waits
    )
    distributed.init_process_group(
        "gloo" if use_cpu else None,
        store=distributed.PrefixStore(f"attempt_{attempt}", store),
        rank=int(os.environ["RANK"]),
        world_size=world_size(),
        timeout=waits,
    )


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
