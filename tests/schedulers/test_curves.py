import itertools
import math

import pytest
import torch

from hf_strategies.schedulers.curves import (
    DECAY_SHAPES,
    constant,
    cosine,
    cosine_restarts,
    exponential,
    inverse_sqrt,
    linear,
    multistep_decay,
    polynomial,
    power_decay,
    progress,
    step_decay,
    warmup_stable_decay,
)

STEPS = 120


def falls() -> dict:
    """Every curve that falls to a floor, by a name for it."""
    curves = {"linear": linear, "cosine": cosine, "polynomial": polynomial, "cosine_restarts-1": one_restart_cycle}
    for shape in DECAY_SHAPES:
        curves[f"wsd-{shape}"] = lambda step, steps, shape=shape, **floor: warmup_stable_decay(
            step, steps, num_decay_steps=40, decay_shape=shape, **floor
        )
    return curves


def one_restart_cycle(step, steps, **floor):
    return cosine_restarts(step, steps, num_cycles=1, **floor)


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
    assert [cosine(step, 100, num_cycles=1.0) for step in (0, 50, 100)] == pytest.approx([1.0, 0.0, 1.0])
    assert polynomial(50, 100, power=3.0, min_lr_ratio=0.2) == pytest.approx(0.2 + 0.8 / 8)
    phases = {"num_decay_steps": 40, "min_lr_ratio": 0.2}
    plateau = [warmup_stable_decay(step, 100, **phases) for step in (0, 59, 60)]
    assert plateau == [1.0, 1.0, 1.0]
    assert warmup_stable_decay(70, 100, **phases) == pytest.approx(0.2 + 0.8 * 0.5)  # 1 - sqrt(10 / 40)
    assert warmup_stable_decay(70, 100, **phases, decay_shape="linear") == pytest.approx(0.2 + 0.8 * 0.75)
    cubed = {"decay_shape": "power", "decay_power": 3.0}
    assert warmup_stable_decay(80, 100, **phases, **cubed) == pytest.approx(0.2 + 0.8 / 8)
    assert constant(70, 100) == 1.0


def test_an_empty_phase_is_done_at_once():
    assert (progress(-1, 0), progress(0, 0)) == (0.0, 1.0)
    assert [warmup_stable_decay(step, 10, num_decay_steps=0) for step in (0, 9, 10)] == [1.0, 1.0, 0.0]
    assert [power_decay(step, 4, num_warmup_steps=0, num_plateau_steps=4, num_decay_steps=0) for step in range(6)] == [
        1.0
    ] * 6


def test_restarts_begin_anew_at_lower_and_longer_cycles():
    # Cycles of 10, 20 and 40 updates: SGDR's T_0 = 10, T_mult = 2.
    shape = {"num_cycles": 3, "cycle_growth": 2.0, "restart_decay": 0.5, "min_lr_ratio": 0.1}
    seen = [cosine_restarts(step, 70, **shape) for step in (0, 5, 10, 20, 30, 50, 70, 80)]
    assert seen == pytest.approx([1.0, 0.55, 0.55, 0.325, 0.325, 0.2125, 0.1, 0.1])
    assert cosine_restarts(29, 70, **shape) < 0.11


def test_a_cycle_begins_on_its_update_whatever_the_numbers():
    # Where n cycles of n updates each are counted in shares of the run, 1 / 49 * 49 and others fall short of whole.
    for cycles in range(2, 60):
        assert all(cosine_restarts(cycles * number, cycles**2, num_cycles=cycles) == 1.0 for number in range(cycles))


def torch_rates(build, steps: int) -> list[float]:
    """The rates of one of torch's own schedulers, from a base rate of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = build(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


SCHEDULES = torch.optim.lr_scheduler


@pytest.mark.parametrize(
    ("curve", "theirs"),
    [
        (lambda step: step_decay(step, 60, step_size=7, gamma=0.3), lambda o: SCHEDULES.StepLR(o, 7, 0.3)),
        (
            lambda step: multistep_decay(step, 60, milestones=(10, 30, 30, 45), gamma=0.3),
            lambda o: SCHEDULES.MultiStepLR(o, [30, 10, 45, 30], 0.3),
        ),
        (
            lambda step: exponential(step, 60, gamma=0.9, num_period_steps=1),
            lambda o: SCHEDULES.ExponentialLR(o, 0.9),
        ),
        (
            lambda step: cosine_restarts(step, 70, num_cycles=3, cycle_growth=2.0, min_lr_ratio=0.1),
            lambda o: SCHEDULES.CosineAnnealingWarmRestarts(o, 10, 2, eta_min=0.1),
        ),
        (lambda step: polynomial(step, 60, power=2.5), lambda o: SCHEDULES.PolynomialLR(o, 60, 2.5)),
    ],
    ids=["StepLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingWarmRestarts", "PolynomialLR"],
)
def test_agrees_with_torchs_own(curve, theirs):
    assert [curve(step) for step in range(60)] == pytest.approx(torch_rates(theirs, 60), rel=1e-9, abs=1e-12)


def test_an_exponential_without_a_period_spans_the_curve():
    assert [exponential(step, 100, gamma=0.01) for step in (0, 50, 100, 200)] == pytest.approx([1.0, 0.1, 0.01, 0.01])


def test_the_inverse_square_root_counts_in_warmups():
    assert inverse_sqrt(300, 1000, num_warmup_steps=100) == 0.5  # 400 updates done, 4 warmups
    assert inverse_sqrt(300, 1000, num_warmup_steps=7, num_timescale_steps=100) == 0.5
    assert inverse_sqrt(30_000, 99_999, num_warmup_steps=0) == 0.5


def test_the_power_law_joins_its_plateau_and_its_last_fall_without_a_jump():
    run = {"num_warmup_steps": 100, "num_plateau_steps": 100, "num_decay_steps": 200, "exponent": 0.5}
    factors = [power_decay(step, 1000, **run) for step in range(1001)]
    assert factors[:101] == [1.0] * 101
    assert factors[700] == 0.5  # 800 updates done, 200 of them up to the end of the plateau: 4^-0.5
    assert factors[800] == pytest.approx(math.sqrt(200 / 900))
    assert factors[900] == pytest.approx(factors[800] / 2)
    assert factors[1000] == 0.0
    assert max(earlier - later for earlier, later in itertools.pairwise(factors)) < 0.005
    floored = [power_decay(step, 1000, **run, min_lr_ratio=0.2) for step in (900, 1000)]
    assert floored == pytest.approx([(factors[800] + 0.2) / 2, 0.2])
