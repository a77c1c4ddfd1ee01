"""What to do about a bad update: skip it; after some in a row, go back; in the end, stop. A pure state machine."""

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from hf_strategies.errors import UserError

FORGIVEN_AFTER = 200  # good updates in a row after which earlier returns no longer count


class Action(str, Enum):
    """What happens to an update."""

    TAKE = "take"
    SKIP = "skip"
    ROLLBACK = "rollback"
    STOP = "stop"
    OVERFLOW = "overflow"  # only fp16's scale was too high: its scaler leaves the update out
    ADAPT = "adapt"  # in the place of a stop, where weights are fine: what is usual is learned anew


@dataclass(frozen=True, kw_only=True)
class GuardOptions:
    """How patient the step guard is.

    Args:
        patience: Bad updates in a row that are skipped before the run goes back to a healthy state; twice as many
            after each return, since then it is the data that is to blame, not the weights.
        rollbacks: Returns before the run stops; 200 good updates in a row make them forgotten.
        snapshot_steps: Updates between snapshots in memory; 0 takes none, so that only checkpoints are left.
        lr_scale: The learning rate's factor for 100 updates after a return.

    Raises:
        UserError: One of them is out of range.
    """

    patience: int = 4
    rollbacks: int = 3
    snapshot_steps: int = 10
    lr_scale: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("patience", 1), ("rollbacks", 0), ("snapshot_steps", 0)):
            if getattr(self, name) < least:
                raise UserError(f"the guard's {name} must be at least {least}, got {getattr(self, name)!r}")
        if not 0 < self.lr_scale <= 1:
            raise UserError(f"the guard's lr_scale must be above 0 and at most 1, got {self.lr_scale!r}")


@dataclass
class Policy:
    """Count bad updates and returns.

    Args:
        options: How many of them are too many.
        streak: Bad updates in a row since the last return.
        calm: Good updates in a row.
        rollbacks: Returns that are not forgotten.
    """

    options: GuardOptions
    streak: int = 0
    calm: int = 0
    rollbacks: int = 0

    def decide(self, *, is_bad: bool) -> Action:
        """Choose what happens to the next update."""
        if not is_bad:
            self.streak, self.calm = 0, self.calm + 1
            if self.calm >= FORGIVEN_AFTER:
                self.rollbacks = 0
            return Action.TAKE
        self.streak, self.calm = self.streak + 1, 0
        if self.streak < self.options.patience * 2**self.rollbacks:
            return Action.SKIP
        if self.rollbacks == self.options.rollbacks:
            return Action.STOP
        self.streak, self.rollbacks = 0, self.rollbacks + 1
        return Action.ROLLBACK

    def state(self) -> dict[str, Any]:
        """Return JSON values for `load_state`."""
        return {name: value for name, value in asdict(self).items() if name != "options"}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on with another's counts."""
        self.streak, self.calm, self.rollbacks = state["streak"], state["calm"], state["rollbacks"]
