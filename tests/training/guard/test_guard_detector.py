import math
import random

import pytest

from hf_strategies.training.guard.detector import MIN_HISTORY, WINDOW, Detector, height


def seasoned(losses, norms=None) -> Detector:
    detector = Detector()
    for loss, norm in zip(losses, norms or [1.0] * len(losses)):
        assert not detector.trouble(loss, norm)
        detector.accept(loss, norm)
    return detector


def test_a_height_by_hand():
    assert height(9.0, [1.0, 2.0, 3.0, 4.0, 5.0], floor=0.1) == pytest.approx(6 / 1.4826)  # median 3, deviation 1
    tail = [1.0, 2.0, 3.0, 4.0, 23.0, *[1.0, 2.0, 3.0, 4.0] * 2]
    assert height(8.5, tail, floor=0.1) == pytest.approx(5.5 / 5)  # the 23 stands 20 above the median of 3
    assert height(8.5, tail[:-1], floor=0.1) == pytest.approx(6 / 1.4826)  # and counts once eight have followed
    assert height(9.0, [3.0] * 5, floor=0.5) == pytest.approx(12.0)


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (math.inf, 1.0), (3.0, math.nan), (3.0, math.inf)])
def test_what_is_not_finite_is_bad_from_the_first_update(loss, norm):
    assert Detector().trouble(loss, norm)


def test_without_a_history_nothing_finite_is_bad():
    assert not seasoned([3.0] * (MIN_HISTORY - 1)).trouble(1e6, 1e6)
    assert seasoned([3.0] * MIN_HISTORY).trouble(1e6, 1.0)


def test_spikes_upward_are_bad_and_falls_are_not():
    detector = seasoned([3.0 + 0.01 * (step % 5) for step in range(64)])
    assert "loss 4.2 is far above the usual 3.02" in detector.trouble(4.2, 1.0)
    assert "gradient norm 1000 is far above the usual 1" in detector.trouble(3.0, 1000.0)
    assert not detector.trouble(3.5, 4.0)
    assert not detector.trouble(0.1, 0.001)


def test_heavy_tails_that_were_accepted_are_accepted_again():
    losses = [0.8, 0.05, 0.02, 0.6, 0.01, 0.03] * 10  # a small batch with a hard example now and then
    assert not seasoned(losses).trouble(1.5, 1.0)


@pytest.mark.parametrize(
    "climb", [[3.0 + 0.5 * step for step in range(1, 40)], [3.0 + 0.1 * step for step in range(40)]]
)
def test_a_climb_does_not_vouch_for_itself(climb):
    detector = seasoned([3.0 + 0.01 * (step % 5) for step in range(64)])
    for loss in climb:
        if not detector.trouble(loss, 1.0):
            detector.accept(loss, 1.0)
    assert max(detector.losses) <= 4.1  # a single spike would be bad from 4.02 on
    assert detector.trouble(climb[-1], 1.0)


def test_a_climb_that_grows_ever_faster_is_bad_at_its_second_step():
    detector = seasoned([3.0 + 0.01 * (step % 5) for step in range(64)])
    detector.accept(3.9, 2.4)
    assert detector.trouble(3.0 + 0.9 * 2.4, 2.4**2)


def test_losses_of_any_unit_are_judged_by_their_own_size():
    detector = seasoned([5000.0 + 10 * (step % 3) for step in range(32)])
    assert not detector.trouble(5200.0, 1.0)
    assert detector.trouble(8000.0, 1.0)


def test_noise_and_a_fast_fall_raise_no_alarm():
    for seed in range(20):
        draw = random.Random(seed)
        losses = [2.0 + 8.0 * math.exp(-step / 20) + draw.gauss(0, 0.15) for step in range(1000)]
        norms = [math.exp(draw.gauss(0, 0.4) + min(step, 50) / 25) for step in range(1000)]
        seasoned(losses, norms)  # asserts that each is good


def test_a_batch_without_a_gradient_says_nothing_about_those_that_have_one():
    detector = seasoned([3.0] * 40, [0.0] * 40)
    assert not detector.trouble(3.0, 1.0)


def test_another_detector_goes_on_with_what_this_one_remembers():
    detector, other = seasoned([3.0 + 0.1 * (step % 7) for step in range(100)]), Detector()
    other.load_state(detector.state())
    assert other.state() == detector.state()
    assert len(other.losses) == WINDOW
