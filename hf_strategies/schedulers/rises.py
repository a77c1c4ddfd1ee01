"""Warmup, which goes before or over a curve, and the curves that have a rise of their own."""

import math
from collections.abc import Callable, Sequence

from hf_strategies.schedulers.curves import DECAY_SHAPES, progress

Curve = Callable[..., float]

# How a rise from `start` to 1 looks, by the share of it that is done.
WARMUP_SHAPES: dict[str, Callable[[float, float], float]] = {
    "linear": lambda start, done: start + (1.0 - start) * done,
    "cosine": lambda start, done: start + (1.0 - start) * 0.5 * (1.0 - math.cos(math.pi * done)),
    "exponential": lambda start, done: start ** (1.0 - done),
}


def warm_up(step: int, length: int, *, shape: str, start: float) -> float:
    """Rise from `start` at step 0 to 1 at step `length`; without a length the rise is over."""
    return WARMUP_SHAPES[shape](start, progress(step, length))


def warmup_before(
    step: int, *, curve: Curve, num_training_steps: int, num_warmup_steps: int, shape: str, start: float
) -> float:
    """Rise from `start` to 1, then follow `curve` for the rest of the run.

    Args:
        step: Updates done so far.
        curve: What follows the warmup: `(step, num_training_steps) -> factor`.
        num_training_steps: Length of the run, in updates.
        num_warmup_steps: Length of the rise, in updates.
        shape: A key of `WARMUP_SHAPES`.
        start: Factor at step 0.
    """
    if step < num_warmup_steps:
        return warm_up(step, num_warmup_steps, shape=shape, start=start)
    return curve(step - num_warmup_steps, num_training_steps - num_warmup_steps)


def warmup_over(
    step: int, *, curve: Curve, num_training_steps: int, num_warmup_steps: int, shape: str, start: float
) -> float:
    """Follow `curve` from the start of the run, scaled by the rise; arguments are those of `warmup_before`."""
    return warm_up(step, num_warmup_steps, shape=shape, start=start) * curve(step, num_training_steps)


def noam(step: int, num_training_steps: int, *, num_rise_steps: int = 4000, d_model: int | None = None) -> float:
    """Rise linearly, then fall as one over the square root of the updates done.

    Args:
        step: Updates done before this one; the paper counts this one too.
        num_training_steps: Length of the run, in updates.
        num_rise_steps: Length of the rise.
        d_model: Width of the model. Without it the peak is 1; with it the factor is the paper's own rate, which wants
            a base rate of 1.
    """
    number = min(step, num_training_steps) + 1
    rise = max(num_rise_steps, 1)
    factor = min(number / rise, math.sqrt(rise / number))
    return factor if d_model is None else factor / math.sqrt(d_model * rise)


def one_cycle(
    step: int,
    num_training_steps: int,
    *,
    num_rise_steps: int,
    start_ratio: float = 1 / 25,
    final_ratio: float = 1 / 25e4,
    anneal: str = "cosine",
) -> float:
    """Rise from `start_ratio` to 1, fall to `final_ratio` at the last update.

    Args:
        step: Updates done so far.
        num_training_steps: Length of the cycle, in updates.
        num_rise_steps: Updates up to the peak, that at the peak among them.
        start_ratio: First factor.
        final_ratio: Last factor.
        anneal: "cosine" or "linear", both ways.
    """
    peak = max(num_rise_steps - 1, 0)
    if step <= peak:
        return start_ratio + (1.0 - start_ratio) * (1.0 - DECAY_SHAPES[anneal](progress(step, peak)))
    fall = DECAY_SHAPES[anneal](progress(step - peak, num_training_steps - 1 - peak))
    return final_ratio + (1.0 - final_ratio) * fall


def slanted_triangular(step: int, num_training_steps: int, *, num_rise_steps: int, ratio: float = 32.0) -> float:
    """Rise linearly over `num_rise_steps` from one `ratio`-th of the base rate, and fall linearly back to it."""
    if step < num_rise_steps:
        height = step / num_rise_steps
    else:
        height = 1.0 - progress(step - num_rise_steps, num_training_steps - num_rise_steps)
    return (1.0 + height * (ratio - 1.0)) / ratio


def sequence(step: int, num_training_steps: int, *, phases: Sequence[tuple[int, float, Curve]]) -> float:  # noqa: ARG001
    """Follow one curve after another.

    In settings a phase is a mapping: `scheduler`, `num_steps` (its length; the last phase may leave it out) and, where
    wanted, `peak` (the factor that its 1 stands for), `num_warmup_steps`, and the curve's own arguments.

    Args:
        step: Updates done so far.
        num_training_steps: Length of the run, in updates.
        phases: For each curve, in order: the update it begins at, the factor that its 1 stands for, and itself, of
            the updates since it began.
    """
    begin, peak, curve = next(phase for phase in reversed(phases) if step >= phase[0])
    return peak * curve(step - begin)
