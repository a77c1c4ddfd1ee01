"""What the losses of training and of validation show together, in words."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from hf_strategies.reports.terminal import format_number

LEARNING, FLAT, OVERFITTING, UNDERFITTING = "learning", "flat", "overfitting", "underfitting"
DIVERGING, NOISY = "diverging", "noisy"

MIN_EVALUATIONS = 2
FEW = 4  # evaluations: fewer do not show how much a curve goes up and down anyway
STILL = 0.02  # of a loss: a change that counts as none
LOUD = 0.05  # of a loss: a doubt about its change that is too large to call it none
SURE = 3  # times its noise: a change that is more than that
BARELY = 0.1  # of the first training loss: what has hardly been learned from

Point = tuple[int, float]


class Verdict(NamedTuple):
    """What two curves show.

    Args:
        kind: One of the words above.
        since: The step from which it is so, where that can be said.
        said: A sentence.
    """

    kind: str
    since: int | None
    said: str


class Curves(NamedTuple):
    """Both losses at the same steps: at each evaluation, the mean training loss since the one before."""

    steps: list[int]
    training: list[float]
    validation: list[float]


def read_curves(log_history: Sequence[Mapping[str, float]]) -> Curves:
    """Take both losses from what a Trainer logged; evaluations without a training loss before them are left out."""
    trained = _points(log_history, "loss")
    curves, done = Curves([], [], []), 0
    for step, validation in _points(log_history, "eval_loss"):
        upto = bisect_right(trained, (step, math.inf))
        if upto > done:
            curves.steps.append(step)
            curves.training.append(fmean(loss for _, loss in trained[done:upto]))
            curves.validation.append(validation)
        done = upto
    return curves


def judge(curves: Curves) -> Verdict | None:
    """Say what the curves show; None before there are two evaluations.

    Only directions count: a training loss under dropout, augmentation or label smoothing is no measure of a gap. What
    validation has risen by since its best is overfitting, unless training has risen too. Where it has not risen, its
    last values are compared with as many before them. A change counts when it is more than 2% of the loss and more
    than three times what the curve goes up and down anyway (`noise`). Two or three evaluations hardly show the latter:
    of them each counts for itself, a rise of validation when it is more than 5%, and underfitting is not spoken of.
    """
    steps, training, validation = curves
    if len(steps) < MIN_EVALUATIONS:
        return None
    few = len(steps) < FEW
    window = 1 if few else max(2, len(steps) // 5)
    best = min(range(len(steps)), key=validation.__getitem__)
    if best + window < len(steps) and _has_risen(validation, best, window):
        rose = f"validation loss went from {_number(validation[best])} to {_number(fmean(validation[-window:]))}"
        trained = f"training loss went from {_number(training[best])} to {_number(fmean(training[-window:]))}"
        doubt = f"; {len(steps)} evaluations are few to tell it by" if few else ""
        if _has_risen(training, best, window):
            said = f"getting worse since step {steps[best]}: {rose} and {trained}; the learning rate may be too high"
            return Verdict(DIVERGING, steps[best], said + doubt)
        said = f"overfitting since step {steps[best]}: {rose} while {trained}"
        return Verdict(OVERFITTING, steps[best], said + doubt)
    return _judge_recent(curves, window)


def noise(values: Sequence[float]) -> float:
    """Return what a curve goes up and down from point to point, one fall to its lowest and one rise from it aside.

    It is taken from the first rise on: what falls steadily before says nothing about what is no change.
    """
    falling = next((index for index, (one, other) in enumerate(pairwise(values)) if other > one), len(values) - 1)
    rest = values[falling:]
    travelled = sum(abs(other - one) for one, other in pairwise(rest))
    return max(travelled - (rest[0] + rest[-1] - 2 * min(rest)), 0.0) / max(len(rest) - 1, 1)


def _judge_recent(curves: Curves, window: int) -> Verdict:
    validation, training = curves.validation, curves.training
    earlier, now = _number(fmean(validation[-2 * window : -window])), _number(fmean(validation[-window:]))
    recently = f"over the last {2 * window} evaluations"
    change = _change(validation, window)
    if change is None:
        said = f"validation loss goes up and down by about {_number(noise(validation))} between evaluations"
        return Verdict(NOISY, None, f"too noisy to tell: {said}")
    if change < 0:
        return Verdict(LEARNING, None, f"still learning: validation loss went from {earlier} to {now} {recently}")
    first, last = training[0], fmean(training[-window:])
    trained = _change(training, window)
    if trained is not None and trained < 0:
        said = f"validation loss stays near {now} {recently}, while training loss still falls"
        return Verdict(FLAT, None, f"flat: {said}")
    if len(training) >= FEW and first - last < BARELY * abs(first):
        said = (
            f"validation loss stays near {now}, and training loss came from {_number(first)} only to {_number(last)}"
        )
        return Verdict(UNDERFITTING, None, f"underfitting: {said}; a higher rate or more weights may learn more")
    return Verdict(
        FLAT, None, f"flat: validation loss stays near {now} {recently}, and training loss has stopped falling"
    )


def _change(values: Sequence[float], window: int) -> float | None:
    """Return by how much the last values differ from those before them, 0 for no change; None where nobody can say."""
    change = fmean(values[-window:]) - fmean(values[-2 * window : -window])
    level = fmean(map(abs, values[-2 * window :]))
    doubt = SURE * noise(values) * math.sqrt(2 / window)
    if abs(change) > max(doubt, (_least_rise(values) if change > 0 else STILL) * level):
        return change if change < 0 else None  # a rise that is none since the best is one of its ups and downs
    return None if doubt > LOUD * level else 0.0


def _has_risen(values: Sequence[float], best: int, window: int) -> bool:
    reach = 0 if len(values) < FEW else 1  # the best by itself may be luck
    around_best = fmean(values[max(best - reach, 0) : best + reach + 1])
    return fmean(values[-window:]) - around_best > max(SURE * noise(values), _least_rise(values) * abs(around_best))


def _least_rise(values: Sequence[float]) -> float:
    """Return from which share of a loss on a rise counts."""
    return LOUD if len(values) < FEW else STILL


def _points(log_history: Sequence[Mapping[str, float]], name: str) -> list[Point]:
    found = {int(row["step"]): float(row[name]) for row in log_history if math.isfinite(row.get(name, math.nan))}
    return sorted(found.items())


def _number(value: float) -> str:
    return format_number(float(f"{value:.3g}"))
