"""Learning-rate curves: pure functions from an update to a multiplier of the base rate.

Every curve takes `step` (updates done since the warmup ended), `num_training_steps` (updates that the run has after
its warmup) and its shape, and returns a factor in [0, 1]. Past the end of the run a curve stays where it ended.
"""

import math
from collections.abc import Callable

# How a fall from 1 to 0 looks, by the share of it that is done.
DECAY_SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
    "one_minus_sqrt": lambda done: 1.0 - math.sqrt(done),
}


def progress(step: int, length: int) -> float:
    """Share of a phase that is done, clipped to [0, 1]; an empty phase is done from step 0 on."""
    if length == 0:
        return float(step >= 0)
    return min(max(step / length, 0.0), 1.0)


def decay(step: int, length: int, *, shape: str, floor: float) -> float:
    """Fall from 1 to `floor` over `length` updates; the floor scales the whole fall, so there is no jump onto it."""
    return floor + (1.0 - floor) * DECAY_SHAPES[shape](progress(step, length))


def with_linear_warmup(
    step: int,
    *,
    curve: Callable[..., float],
    num_training_steps: int,
    num_warmup_steps: int,
    **shape: float | str,
) -> float:
    """Rise linearly from 0 at step 0 to 1, then follow `curve` for the rest of the run.

    Args:
        step: Updates done so far.
        curve: What follows the warmup.
        num_training_steps: Length of the run, in updates.
        num_warmup_steps: Length of the rise, in updates.
        shape: The curve's own arguments.
    """
    if step < num_warmup_steps:
        return step / num_warmup_steps
    return curve(step - num_warmup_steps, num_training_steps - num_warmup_steps, **shape)


def constant(step: int, num_training_steps: int) -> float:  # noqa: ARG001 - the signature of every curve
    """Stay at the base rate."""
    return 1.0


def linear(step: int, num_training_steps: int, *, min_lr_ratio: float = 0.0) -> float:
    """Fall on a straight line to `min_lr_ratio` of the base rate."""
    return decay(step, num_training_steps, shape="linear", floor=min_lr_ratio)


def cosine(step: int, num_training_steps: int, *, min_lr_ratio: float = 0.0) -> float:
    """Fall along half a cosine to `min_lr_ratio` of the base rate."""
    return decay(step, num_training_steps, shape="cosine", floor=min_lr_ratio)


def warmup_stable_decay(
    step: int,
    num_training_steps: int,
    *,
    num_decay_steps: int,
    min_lr_ratio: float = 0.0,
    decay_shape: str = "one_minus_sqrt",
) -> float:
    """Hold the base rate, then fall to `min_lr_ratio` of it over the last `num_decay_steps` updates.

    Args:
        step: Updates done since the warmup ended.
        num_training_steps: Updates that the run has after its warmup.
        num_decay_steps: Length of the fall, in updates.
        min_lr_ratio: Floor, as a share of the base rate.
        decay_shape: A key of `DECAY_SHAPES`.
    """
    decay_start = num_training_steps - num_decay_steps
    return decay(step - decay_start, num_decay_steps, shape=decay_shape, floor=min_lr_ratio)
