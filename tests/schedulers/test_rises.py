import math

import pytest
import torch

from hf_strategies.schedulers import schedule_curve
from hf_strategies.schedulers.curves import cosine, linear
from hf_strategies.schedulers.rises import noam, one_cycle, slanted_triangular, warm_up, warmup_before

PLAIN = {"shape": "linear", "start": 0.0}


def test_a_warmup_rises_from_zero_and_hands_over_at_one():
    run = {"curve": linear, "num_training_steps": 10, "num_warmup_steps": 4, **PLAIN}
    factors = [warmup_before(step, **run) for step in range(11)]
    assert factors == pytest.approx([0, 0.25, 0.5, 0.75, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0])


def test_a_warmup_may_fill_the_run_or_be_empty():
    run = {"curve": cosine, "num_training_steps": 4, "num_warmup_steps": 4, **PLAIN}
    assert [warmup_before(step, **run) for step in range(4)] == [0.0, 0.25, 0.5, 0.75]
    assert warmup_before(0, **{**run, "num_warmup_steps": 0}) == 1.0


@pytest.mark.parametrize(
    ("shape", "start", "half"),
    [
        ("linear", 0.0, 0.5),
        ("linear", 0.2, 0.6),
        ("cosine", 0.0, 0.5),
        ("cosine", 0.2, 0.6),
        ("exponential", 0.01, 0.1),
    ],
)
def test_every_shape_of_warmup_goes_from_its_start_to_one(shape, start, half):
    seen = [warm_up(step, 100, shape=shape, start=start) for step in (0, 50, 100, 200)]
    assert seen == pytest.approx([start, half, 1.0, 1.0])


def test_a_cosine_warmup_starts_and_ends_gently():
    assert warm_up(25, 100, shape="cosine", start=0.0) == pytest.approx((1 - math.sqrt(0.5)) / 2)


def test_noam_is_the_papers_rate_where_the_models_width_is_given():
    def paper(number: int) -> float:
        return 512**-0.5 * min(number**-0.5, number * 4000**-1.5)

    updates = (0, 1, 1999, 3999, 4000, 15_999, 99_999)
    assert [noam(step, 100_000, d_model=512) for step in updates] == pytest.approx([paper(n + 1) for n in updates])
    assert noam(3999, 100_000, d_model=512) == pytest.approx(6.9877e-4, rel=1e-4)
    assert [noam(step, 100_000) for step in (0, 1999, 3999, 15_999)] == pytest.approx([1 / 4000, 0.5, 1.0, 0.5])


@pytest.mark.parametrize("anneal", ["cosine", "linear"])
@pytest.mark.parametrize("rise", [0.3, 0.5, 0.1])
def test_one_cycle_is_torchs(anneal, rise):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2.0, total_steps=100, pct_start=rise, anneal_strategy=anneal[:3] if anneal == "cosine" else anneal
    )
    curve = schedule_curve("one_cycle", num_training_steps=100, num_rise_steps=rise, anneal=anneal)
    for step in range(100):
        assert theirs.get_last_lr()[0] == pytest.approx(2.0 * curve(step), rel=1e-9)
        optimizer.step()
        if step < 99:
            theirs.step()


def test_one_cycle_without_a_rise_only_falls():
    assert [one_cycle(step, 3, num_rise_steps=0, final_ratio=0.0) for step in range(4)] == pytest.approx(
        [1, 0.5, 0, 0]
    )


@pytest.mark.parametrize("anneal", ["cosine", "linear"])
def test_one_cycle_whose_rise_fills_the_run_ends_at_its_peak(anneal):
    factors = [one_cycle(step, 4, num_rise_steps=4, anneal=anneal) for step in range(4)]
    assert factors[0] == 1 / 25
    assert factors == sorted(factors)
    assert factors[3] == 1.0


def test_a_slanted_triangle_is_ulmfits():
    def paper(step: int, total: int, share: float, ratio: float) -> float:
        cut = math.floor(total * share)
        height = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / share - 1))
        return (1 + height * (ratio - 1)) / ratio

    curve = schedule_curve("slanted_triangular", num_training_steps=200)
    assert [curve(step) for step in range(201)] == pytest.approx([paper(step, 200, 0.1, 32) for step in range(201)])
    assert slanted_triangular(0, 10, num_rise_steps=0) == 1.0


PHASES = [
    {"scheduler": "constant", "num_steps": 20, "num_warmup_steps": 10},
    {"scheduler": "linear", "num_steps": 0.5, "min_lr_ratio": 0.4},
    {"scheduler": "cosine", "peak": 0.4},
]


def test_a_sequence_is_its_phases_one_after_another():
    curve = schedule_curve("sequence", num_training_steps=100, phases=PHASES)
    seen = {step: curve(step) for step in (0, 5, 10, 20, 45, 69, 70, 85, 100, 110)}
    expected = {0: 0.0, 5: 0.5, 10: 1.0, 20: 1.0, 45: 0.7, 69: 0.412, 70: 0.4, 85: 0.2, 100: 0.0, 110: 0.0}
    assert seen == pytest.approx(expected)


def test_an_empty_phase_is_never_seen_and_shares_fill_the_run():
    phases = [{"scheduler": "linear", "num_steps": 0}, {"scheduler": "constant"}]
    curve = schedule_curve("sequence", num_training_steps=10, phases=phases)
    assert [curve(step) for step in (0, 5)] == [1.0, 1.0]
    shares = [{"scheduler": "constant", "num_steps": share} for share in (0.7, 0.2, 0.1)]
    assert schedule_curve("sequence", num_training_steps=101, phases=shares)(100) == 1.0


def test_a_sequence_in_a_sequence_has_lengths_of_its_own():
    phases = [{"scheduler": "sequence", "num_steps": 50, "phases": PHASES}, {"scheduler": "constant"}]
    curve = schedule_curve("sequence", num_training_steps=100, phases=phases)
    assert [curve(step) for step in (10, 20, 45, 50)] == pytest.approx([1.0, 1.0, 0.4, 1.0], abs=1e-9)
