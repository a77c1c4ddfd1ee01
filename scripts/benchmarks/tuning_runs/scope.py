"""How much of a part is run, and what it reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import Table
from ..training_runs.goals import Floor, Goal
from .trial import Trial


@dataclass(frozen=True, kw_only=True)
class Scope:
    """How much is run.

    Args:
        seeds: Seeds of what is compared; parts whose spread is small, or whose runs are long, take fewer.
        max_steps: Updates after which every run stops; None lets them run to their ends.
    """

    seeds: int
    max_steps: int | None = None

    def trial(self, *, settings: Mapping[str, Any], **who: Any) -> Trial:
        """Describe a run; arguments are those of `Trial`."""
        if self.max_steps is not None:
            settings = {name: value for name, value in settings.items() if name != "num_train_epochs"}
            settings |= {"max_steps": self.max_steps}
        return Trial(settings=settings, **who)


@dataclass(frozen=True)
class Report:
    """What a part has found.

    Args:
        goals: What was aimed for.
        tables: In the order of reading.
        remarks: What a reader must know.
        scores: What a picture shows, if there is one: task to contender to the accuracies of its seeds.
    """

    goals: Sequence[Goal | Floor] = ()
    tables: Sequence[Table] = ()
    remarks: Sequence[str] = ()
    scores: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
