"""Learning-rate curves that fall: pure functions from an update to a multiplier of the base rate.

Every curve takes `step` (updates done since it began), `num_training_steps` (updates that it lasts) and its shape,
and returns a factor in [0, 1]. Past its end a curve stays where it ended. Lengths are whole updates here.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

# How a fall from 1 to 0 looks, by the share of it that is done.
DECAY_SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
    "one_minus_sqrt": lambda done: 1.0 - math.sqrt(done),
    "power": lambda done: 1.0 - done,  # raised to decay_power
}


def progress(step: int, length: int) -> float:
    """Share of a phase that is done, clipped to [0, 1]; an empty phase is done from step 0 on."""
    if length == 0:
        return float(step >= 0)
    return min(max(step / length, 0.0), 1.0)


def decay(step: int, length: int, *, shape: str, floor: float, power: float = 1.0) -> float:
    """Fall from 1 to `floor` over `length` updates; the floor scales the whole fall, so there is no jump onto it."""
    return floor + (1.0 - floor) * DECAY_SHAPES[shape](progress(step, length)) ** power


def constant(step: int, num_training_steps: int) -> float:  # noqa: ARG001 - the signature of every curve
    """Stay at the base rate."""
    return 1.0


def linear(step: int, num_training_steps: int, *, min_lr_ratio: float = 0.0) -> float:
    """Fall on a straight line to `min_lr_ratio` of the base rate."""
    return decay(step, num_training_steps, shape="linear", floor=min_lr_ratio)


def polynomial(step: int, num_training_steps: int, *, power: float = 1.0, min_lr_ratio: float = 0.0) -> float:
    """Fall as the share of the run that is left, to the power `power`, to `min_lr_ratio` of the base rate."""
    return decay(step, num_training_steps, shape="linear", floor=min_lr_ratio, power=power)


def cosine(step: int, num_training_steps: int, *, min_lr_ratio: float = 0.0, num_cycles: float = 0.5) -> float:
    """Follow a cosine of `num_cycles` whole waves between the base rate and `min_lr_ratio` of it; 0.5 only falls."""
    wave = 0.5 * (1.0 + math.cos(2.0 * math.pi * num_cycles * progress(step, num_training_steps)))
    return min_lr_ratio + (1.0 - min_lr_ratio) * wave


def cosine_restarts(
    step: int,
    num_training_steps: int,
    *,
    num_cycles: int = 2,
    cycle_growth: float = 1.0,
    restart_decay: float = 1.0,
    min_lr_ratio: float = 0.0,
) -> float:
    """Fall along half a cosine, again and again: SGDR. The cycles fill the run.

    Args:
        step: Updates done.
        num_training_steps: Updates that all cycles take together.
        num_cycles: Falls; one more than restarts.
        cycle_growth: Length of a cycle, in lengths of the one before.
        restart_decay: Height that a cycle begins at, in heights of the one before.
        min_lr_ratio: Floor of every cycle, as a share of the base rate.
    """
    lengths = [cycle_growth**number for number in range(num_cycles)]
    total = sum(lengths)
    place = min(step, num_training_steps) * total / num_training_steps if num_training_steps else total
    cycle = 0
    while cycle < num_cycles - 1 and place >= lengths[cycle]:
        place -= lengths[cycle]
        cycle += 1
    fall = DECAY_SHAPES["cosine"](min(place / lengths[cycle], 1.0))
    return min_lr_ratio + (1.0 - min_lr_ratio) * restart_decay**cycle * fall


def exponential(
    step: int, num_training_steps: int, *, gamma: float = 0.1, num_period_steps: int | None = None
) -> float:
    """Shrink smoothly by `gamma` in every `num_period_steps` updates (None: over the whole curve)."""
    return gamma ** (min(step, num_training_steps) / (num_period_steps or num_training_steps or 1))


def step_decay(step: int, num_training_steps: int, *, step_size: int, gamma: float = 0.1) -> float:
    """Shrink by `gamma` at once after every `step_size` updates."""
    return gamma ** (min(step, num_training_steps) // step_size)


def multistep_decay(step: int, num_training_steps: int, *, milestones: Sequence[int], gamma: float = 0.1) -> float:
    """Shrink by `gamma` at once at each of `milestones`, which count updates in rising order."""
    return gamma ** bisect_right(milestones, min(step, num_training_steps))


def inverse_sqrt(
    step: int, num_training_steps: int, *, num_warmup_steps: int, num_timescale_steps: int | None = None
) -> float:
    """Fall as one over the square root of the updates done, with the warmup (without one, 10,000) as their unit.

    Args:
        step: Updates done since the warmup ended.
        num_training_steps: Updates that the run has after its warmup.
        num_warmup_steps: Length of the warmup.
        num_timescale_steps: Another unit: updates until the factor is one over the square root of two.
    """
    timescale = num_timescale_steps or num_warmup_steps or 10_000
    return math.sqrt(timescale / (timescale + min(step, num_training_steps)))


def warmup_stable_decay(
    step: int,
    num_training_steps: int,
    *,
    num_decay_steps: int,
    min_lr_ratio: float = 0.0,
    decay_shape: str = "one_minus_sqrt",
    decay_power: float = 2.0,
) -> float:
    """Hold the base rate, then fall to `min_lr_ratio` of it over the last `num_decay_steps` updates.

    Args:
        step: Updates done since the warmup ended.
        num_training_steps: Updates that the run has after its warmup.
        num_decay_steps: Length of the fall.
        min_lr_ratio: Floor, as a share of the base rate.
        decay_shape: A key of `DECAY_SHAPES`.
        decay_power: What the share that is left is raised to, where `decay_shape` is "power".
    """
    power = decay_power if decay_shape == "power" else 1.0
    decay_start = num_training_steps - num_decay_steps
    return decay(step - decay_start, num_decay_steps, shape=decay_shape, floor=min_lr_ratio, power=power)


def power_decay(
    step: int,
    num_training_steps: int,
    *,
    num_warmup_steps: int,
    num_plateau_steps: int,
    num_decay_steps: int,
    exponent: float = 0.51,
    min_lr_ratio: float = 0.0,
    decay_shape: str = "linear",
    decay_power: float = 2.0,
) -> float:
    """Hold the base rate, fall as a power of the updates done since the run began, then to `min_lr_ratio` at the end.

    The middle part is the Power scheduler's `min(highest, a * updates^-exponent)`, where `a` follows from the length
    of the plateau; a run may be prolonged there without a change to what was done.

    Args:
        step: Updates done since the warmup ended.
        num_training_steps: Updates that the run has after its warmup.
        num_warmup_steps: Length of the warmup; the power law counts it.
        num_plateau_steps: Length of the plateau at the base rate.
        num_decay_steps: Length of the fall that ends the run.
        exponent: Of the power law; 0.51 was found over model sizes and batch sizes, section 3 of the paper.
        min_lr_ratio: Floor of the last fall, as a share of the base rate.
        decay_shape: A key of `DECAY_SHAPES`.
        decay_power: As for `warmup_stable_decay`.
    """
    decay_start = num_training_steps - num_decay_steps
    plateau_end = max(num_warmup_steps + num_plateau_steps, 1)
    begun = max((num_warmup_steps + min(step, decay_start)) / plateau_end, 1.0) ** -exponent
    if step < decay_start or num_decay_steps == 0:
        return begun
    floor = min(min_lr_ratio, begun) / begun
    power = decay_power if decay_shape == "power" else 1.0
    return begun * decay(step - decay_start, num_decay_steps, shape=decay_shape, floor=floor, power=power)
