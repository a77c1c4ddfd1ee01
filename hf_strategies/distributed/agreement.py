"""What the processes of a run decide together."""

from collections.abc import Callable
from typing import Any, TypeVar

from accelerate.utils import broadcast_object_list

from hf_strategies.distributed.ranks import is_main_process

Decision = TypeVar("Decision")


def decide_together(decide: Callable[[], Decision]) -> Decision:
    """Run `decide` on the main process and return its result on all; what it raises is raised on all of them.

    Call it once torch.distributed is initialised, if it is to be. A rank that failed alone would leave the others
    waiting.
    """
    outcome: list[Any] = [None, None]
    if is_main_process():
        try:
            outcome[0] = decide()
        except Exception as error:  # whatever it is, the others must hear of it
            outcome[1] = error
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]
