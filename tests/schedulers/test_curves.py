import itertools

import pytest

from hf_strategies.schedulers.curves import (
    DECAY_SHAPES,
    constant,
    cosine,
    linear,
    progress,
    warmup_stable_decay,
    with_linear_warmup,
)

STEPS = 120


def falls() -> dict:
    """Every curve that falls, by a name for it."""
    curves = {"linear": linear, "cosine": cosine}
    for shape in DECAY_SHAPES:
        curves[f"wsd-{shape}"] = lambda step, steps, shape=shape, **floor: warmup_stable_decay(
            step, steps, num_decay_steps=40, decay_shape=shape, **floor
        )
    return curves


@pytest.mark.parametrize("name", falls())
@pytest.mark.parametrize("floor", [0.0, 0.1, 1.0])
def test_a_curve_falls_to_its_floor_without_dipping_or_jumping(name, floor):
    factors = [falls()[name](step, STEPS, min_lr_ratio=floor) for step in range(STEPS + 5)]
    assert factors[0] == 1.0
    assert all(later <= earlier for earlier, later in itertools.pairwise(factors))
    # The steepest step of any shape is the first of 1 - sqrt over 40 updates: sqrt(1/40) = 0.158.
    assert max(earlier - later for earlier, later in itertools.pairwise(factors)) < 0.16
    assert factors[STEPS:] == pytest.approx([floor] * 5)


def test_hand_worked_values():
    assert [linear(step, 100, min_lr_ratio=0.2) for step in (0, 25, 50, 100)] == pytest.approx([1.0, 0.8, 0.6, 0.2])
    assert [cosine(step, 100) for step in (0, 50, 100)] == pytest.approx([1.0, 0.5, 0.0])
    assert cosine(25, 100, min_lr_ratio=0.1) == pytest.approx(0.1 + 0.9 * (1 + 2**-0.5) / 2)
    phases = {"num_decay_steps": 40, "min_lr_ratio": 0.2}
    plateau = [warmup_stable_decay(step, 100, **phases) for step in (0, 59, 60)]
    assert plateau == [1.0, 1.0, 1.0]
    assert warmup_stable_decay(70, 100, **phases) == pytest.approx(0.2 + 0.8 * 0.5)  # 1 - sqrt(10 / 40)
    assert warmup_stable_decay(70, 100, **phases, decay_shape="linear") == pytest.approx(0.2 + 0.8 * 0.75)
    assert constant(70, 100) == 1.0


def test_an_empty_phase_is_done_at_once():
    assert (progress(-1, 0), progress(0, 0)) == (0.0, 1.0)
    assert [warmup_stable_decay(step, 10, num_decay_steps=0) for step in (0, 9, 10)] == [1.0, 1.0, 0.0]
    assert with_linear_warmup(0, curve=linear, num_training_steps=4, num_warmup_steps=0) == 1.0


def test_a_warmup_rises_from_zero_and_hands_over_at_one():
    run = {"curve": linear, "num_training_steps": 10, "num_warmup_steps": 4}
    factors = [with_linear_warmup(step, **run) for step in range(11)]
    assert factors == pytest.approx([0, 0.25, 0.5, 0.75, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0])


def test_a_warmup_may_fill_the_run():
    run = {"curve": cosine, "num_training_steps": 4, "num_warmup_steps": 4}
    assert [with_linear_warmup(step, **run) for step in range(4)] == [0.0, 0.25, 0.5, 0.75]
