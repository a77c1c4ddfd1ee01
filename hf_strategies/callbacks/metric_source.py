"""How a callback hands numbers to the log: by being asked, since what it adds in `on_log` reaches no reporter."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class MetricSource(Protocol):
    """A callback whose numbers belong in the training log; `StrategyMixin.log` asks it."""

    def metrics(self) -> dict[str, float]:
        """Return the numbers of the window since the last call, and begin a new window."""
        ...

    def summary(self) -> dict[str, float]:
        """Return the numbers of the whole `train()` call so far, for its closing log."""
        ...
