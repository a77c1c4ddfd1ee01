"""What a run's end is, for callbacks that have something to say then: an interruption is none."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class LastWord(Protocol):
    """A callback that closes a run in `on_train_end`; `StrategyMixin` tells it there whether the run will go on.

    A run that a callback stops has come to its end: one that was asked from outside to stop has not.
    """

    is_interrupted: bool
