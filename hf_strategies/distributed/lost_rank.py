"""Another process of the job is gone: told from what a collective raises in those that are left.

Nothing here imports torch: any script asks.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from hf_strategies.distributed.ranks import world_size
from hf_strategies.errors import LostRankError

# What torch's backends say of a peer; their errors are of one type for everything. gloo: its TCP transport and its
# store; NCCL: ncclRemoteError, its watchdog, and communicators that this has aborted.
SAYINGS = re.compile(
    r"Connection (closed|reset|refused)|Broken pipe|caused pair closure|Timed out waiting \d+ms"
    r"|remote process exited|NCCL communicator was aborted|Watchdog caught collective operation timeout"
)


@contextmanager
def noticing_lost_ranks() -> Iterator[None]:
    """Say in a line that another process is gone, in the place of what a collective says of it.

    Raises:
        LostRankError: It is.
    """
    try:
        yield
    except RuntimeError as error:
        if world_size() == 1 or not any(SAYINGS.search(str(link)) for link in _chain(error)):
            raise
        raise LostRankError(
            "another process of this job has ended or cannot be reached, and none goes on alone: its own output says "
            "why; the same command goes on from the newest checkpoint"
        ) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
