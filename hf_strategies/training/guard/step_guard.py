"""The guard's judgement of one update after another: what is done about each, and what it proves."""

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from hf_strategies.training.guard.detector import Detector
from hf_strategies.training.guard.policy import Action, GuardOptions, Policy
from hf_strategies.training.guard.snapshot import HEALTHY_AFTER, Memory, Snapshot

TRIES = 2


class Verdict(NamedTuple):
    """What is done about an update, why, and the values that it was judged by."""

    action: Action
    reason: str
    loss: float
    grad_norm: float


@dataclass
class Counts:
    """What became of the updates since the last log."""

    taken: int = 0
    skipped: int = 0
    overflows: int = 0

    @property
    def loss_factor(self) -> float:
        """What turns a mean over all of them, in which the skipped are zeros, into one over those that were taken."""
        return (self.taken + self.skipped) / self.taken if self.taken else math.nan


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
        self._returns_to: list[int] = []  # steps, since the run last went well

    def judge(self, loss: float, grad_norm: float, *, overflown: bool) -> Verdict:
        """Judge the next update.

        Args:
            loss: Of the whole update, over all ranks.
            grad_norm: Of its whole gradient.
            overflown: Only fp16's scale is to blame for a gradient that is not finite: its scaler skips the step.
        """
        reason = "" if overflown else self.detector.trouble(loss, grad_norm)
        if not reason and not overflown:
            self.detector.accept(loss, grad_norm)
        action = self.policy.decide(is_bad=bool(reason))
        self.memory.judge(is_good=not reason)
        self.unproven = {step: 0 if reason else count + 1 for step, count in self.unproven.items()}
        if self.policy.calm >= HEALTHY_AFTER:
            self._returns_to = []
        self.counts.overflows += overflown
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

    def take_snapshot_to_return_to(self) -> Snapshot | None:
        """Choose the newest proven snapshot, an older one where two returns have not helped; None without one.

        One return says little against a state: what harmed the run may have lasted, and come again.
        """
        tried = [step for step in self._returns_to if self._returns_to.count(step) == TRIES]
        snapshot = self.memory.newest_healthy(before=min(tried, default=None))
        if snapshot is not None:
            self._returns_to.append(snapshot.step)
            self.memory.forget_after(snapshot.step)
        return snapshot

    def state(self) -> dict[str, Any]:
        """Return JSON values for `load_state`."""
        return {"detector": self.detector.state(), "policy": self.policy.state(), "counts": asdict(self.counts)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on with what another guard has seen."""
        self.detector.load_state(state["detector"])
        self.policy.load_state(state["policy"])
        self.counts = Counts(**state["counts"])
