"""Curves for other hyperparameters than the rate: weight decay, momentum, betas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.ranges import AVERAGE, NOT_NEGATIVE
from hf_strategies.schedulers.factory import bind_curve
from hf_strategies.schedulers.lengths import UNKNOWN, RunScale
from hf_strategies.schedulers.shelf import SCHEDULERS

AVERAGES = ("momentum", "beta1", "beta2")


@dataclass(frozen=True)
class ValueCurve:
    """A hyperparameter between two values: `at_zero` where a curve is 0, `at_one` where it is 1.

    Args:
        hyperparameter: Name in a parameter group; "beta1" and "beta2" are the entries of its `betas`.
        scheduler: Name of a curve on the shelf.
        scheduler_kwargs: The curve's own arguments, and `num_warmup_steps`.
        at_zero: Value where the curve is 0.
        at_one: Value where the curve is 1; None for each group's own.

    Raises:
        UserError: The curve is unknown, has state, or is the rate's; a value is out of range.
    """

    hyperparameter: str
    scheduler: str
    scheduler_kwargs: Mapping[str, Any] = field(default_factory=dict)
    at_zero: float = 0.0
    at_one: float | None = None

    def __post_init__(self) -> None:
        if self.hyperparameter == "lr":
            raise UserError("the learning rate follows scheduler; a curve of its own is for other hyperparameters")
        self.bind(RunScale(UNKNOWN, UNKNOWN, 1 / UNKNOWN))  # what only the run will tell is checked there
        holds, expected = AVERAGE if self.hyperparameter in AVERAGES else NOT_NEGATIVE
        for name in ("at_zero", "at_one"):
            value = getattr(self, name)
            if not (holds(value) or (name == "at_one" and value is None)):
                raise UserError(f"{name} of {self.hyperparameter} must be {expected}, got {value!r}")

    @classmethod
    def from_setting(cls, hyperparameter: str, written: Any) -> ValueCurve:
        """Read `{scheduler: cosine, at_zero: 0.1, min_lr_ratio: 0.2}`: the curve's arguments stand beside the rest.

        Raises:
            UserError: It is no mapping with a scheduler, or what the class refuses.
        """
        if not isinstance(written, Mapping) or "scheduler" not in written:
            raise UserError(f"the curve of {hyperparameter} must be a mapping with a scheduler, got {written!r}")
        shape = {name: value for name, value in written.items() if name not in ("scheduler", "at_zero", "at_one")}
        values = {name: written[name] for name in ("at_zero", "at_one") if name in written}
        return cls(hyperparameter, written["scheduler"], shape, **values)

    def bind(self, run: RunScale) -> Callable[[int], float]:
        """Return the curve over a whole run.

        Raises:
            UserError: Its arguments are wrong, or its phases do not fit in the run.
        """
        shape = dict(self.scheduler_kwargs)
        return bind_curve(SCHEDULERS[self.scheduler], run, shape.pop("num_warmup_steps", 0), shape)

    def value(self, factor: float, base: float) -> float:
        """Return the hyperparameter where the curve is at `factor`, for a group whose own value is `base`."""
        top = base if self.at_one is None else self.at_one
        return self.at_zero + (top - self.at_zero) * factor

    def highest(self, base: float) -> float:
        """Return the most that the hyperparameter can be, for a group whose own value is `base`."""
        return max(self.value(0.0, base), self.value(1.0, base))


def check_hyperparameter(curve: ValueCurve, known: set[str]) -> None:
    """Refuse a curve of something that an optimizer does not have.

    Raises:
        UserError: As said; with the nearest name that it has.
    """
    if curve.hyperparameter not in known:
        guess = did_you_mean(curve.hyperparameter, known)
        listed = ", ".join(sorted(known))
        raise UserError(f"the optimizer has no hyperparameter {curve.hyperparameter!r}{guess} (known: {listed})")
