"""The guard's judgement of one update after another: what is done about each, and what it proves."""

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from hf_strategies.training.guard.detector import Detector
from hf_strategies.training.guard.policy import Action, GuardOptions, Policy
from hf_strategies.training.guard.snapshot import HEALTHY_AFTER, Memory

TRIES = 2  # of one state: what harmed the run may have lasted, and come again


class Verdict(NamedTuple):
    """What is done about an update, why, and the values that it was judged by."""

    action: Action
    reason: str
    loss: float
    grad_norm: float


@dataclass
class Counts:
    """What became of the updates since the last log.

    Args:
        taken: Good ones.
        skipped: Bad ones; their loss is not part of the log.
        overflows: Those that fp16's scaler left out, at a loss that is.
        owed: Updates of earlier logs in which all were skipped: the loss of the whole run lacks theirs.
    """

    taken: int = 0
    skipped: int = 0
    overflows: int = 0
    owed: int = 0

    @property
    def missing(self) -> int:
        """How many updates have no loss, here and in earlier logs."""
        return self.skipped + self.owed

    def mean(self, total: float) -> float:
        """Return the mean loss of the updates that have one; nan where none has."""
        have_one = self.taken + self.overflows
        return total / have_one if have_one else math.nan


class StepGuard:
    """Judge updates, and remember which states are proven by good updates after them.

    Args:
        options: How patient it is.
    """

    def __init__(self, options: GuardOptions) -> None:
        self.detector = Detector()
        self.policy = Policy(options)
        self.memory = Memory()
        self.unproven: dict[int, int] = {}  # steps of checkpoints, and good updates since
        self.counts = Counts()
        self.returns: list[int] = []  # to which steps, since the run last went well
        self.trusted: int | None = 0  # the step at which training began, where its state needs no proof

    def judge(self, loss: float, grad_norm: float, *, overflown: bool) -> Verdict:
        """Judge the next update.

        Args:
            loss: Of the whole update, over all ranks.
            grad_norm: Of its whole gradient.
            overflown: Only fp16's scale is to blame for a gradient that is not finite: its scaler skips the step. Then
                it is the loss alone that can be bad, and nothing that can be good.
        """
        reason = self.detector.trouble(loss, 0.0 if overflown else grad_norm)
        if overflown and not reason:
            self.counts.overflows += 1
            return Verdict(Action.OVERFLOW, "", loss, grad_norm)
        if not reason:
            self.detector.accept(loss, grad_norm)
        action = self.policy.decide(is_bad=bool(reason))
        self.memory.judge(is_good=not reason)
        self.unproven = {step: 0 if reason else count + 1 for step, count in self.unproven.items()}
        if self.policy.calm >= HEALTHY_AFTER:
            self.returns = []
        self.counts.taken += action is Action.TAKE
        self.counts.skipped += action is not Action.TAKE
        return Verdict(action, reason, loss, grad_norm)

    def take_proven(self) -> list[int]:
        """Return the steps of checkpoints that are proven by now, each once."""
        proven = [step for step, count in self.unproven.items() if count >= HEALTHY_AFTER]
        for step in proven:
            del self.unproven[step]
        return proven

    def take_doubtful(self) -> list[int]:
        """Return the steps of all checkpoints that are not proven, each once."""
        doubtful, self.unproven = list(self.unproven), {}
        return doubtful

    def adapt(self) -> None:
        """Learn anew what is usual: the data have changed."""
        self.detector, self.policy.streak = Detector(), 0

    def untried(self, step: int) -> int:
        """Return the step that a state to go back to must be before: `step`, or one that was gone back to in vain."""
        return min([step, *(tried for tried in self.returns if self.returns.count(tried) >= TRIES)])

    def note_return(self, step: int) -> None:
        """Remember a return, and forget the snapshots that it has made worthless."""
        self.returns.append(step)
        self.memory.forget_after(step)

    def state(self) -> dict[str, Any]:
        """Return JSON values for `load_state`."""
        return {
            "detector": self.detector.state(),
            "policy": self.policy.state(),
            "counts": asdict(self.counts),
            "unproven": list(self.unproven.items()),
            "returns": self.returns,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on with what another guard has seen; its snapshots were in its memory alone."""
        self.detector.load_state(state["detector"])
        self.policy.load_state(state["policy"])
        self.counts = Counts(**state["counts"])
        self.unproven = {int(step): int(count) for step, count in state["unproven"]}
        self.returns = list(state["returns"])
