import math

import pytest

from hf_strategies.reports.series import describe_missing, resumed_steps, series_of, smooth, thin, visible_range


def textbook_smooth(values, half_life):
    """Each mean from scratch, each weight the product of the decays of all the places after it."""
    means = []
    for end in range(len(values)):
        decays = [0.5 ** (1 / min(half_life, (place + 1) / 20)) for place in range(end + 1)]
        weights = [math.prod(decays[place + 1 :]) for place in range(end + 1)]
        means.append(sum(map(math.prod, zip(weights, values[: end + 1]))) / sum(weights))
    return means


def test_the_mean_is_the_textbook_one():
    values = [math.sin(place) + 5 / (1 + place) for place in range(120)]
    assert smooth(values, half_life=3.0) == pytest.approx(textbook_smooth(values, 3.0))


def test_a_constant_is_its_own_mean_from_the_first_value_on():
    assert smooth([3.25] * 50, half_life=7.0) == pytest.approx([3.25] * 50)


def test_a_jump_is_half_forgotten_after_one_half_life():
    step_down = smooth([1.0] * 400 + [0.0] * 10, half_life=10.0)
    assert step_down[409] == pytest.approx(0.5, abs=1e-6)


def test_a_nan_leaves_a_gap_and_nothing_else():
    gapped = smooth([2.0, math.nan, math.inf, 2.0], half_life=2.0)
    assert gapped[0] == gapped[3] == 2.0
    assert math.isnan(gapped[1])
    assert math.isnan(gapped[2])


def test_a_series_is_sorted_and_the_later_value_of_a_step_stands():
    events = [
        {"event": "log", "step": step, "loss": loss}
        for step, loss in [(2, 2.0), (3, 9.0), (1, 3.0), (2, 2.5), (3, 2.2)]
    ]
    assert series_of([*events, {"event": "eval", "step": 3, "eval_loss": 1.0}], "loss") == [
        (1, 3.0),
        (2, 2.5),
        (3, 2.2),
    ]


def test_the_first_start_is_no_resume(run_events):
    assert resumed_steps(run_events) == [120]


def test_a_step_that_was_resumed_twice_is_marked_once():
    assert resumed_steps([{"event": "run", "step": step} for step in (0, 4, 4, 9)]) == [4, 9]


def test_thinning_keeps_every_spike_the_ends_and_the_gaps():
    points = [(step, 1.0) for step in range(10_000)]
    points[1234], points[6789], points[5000] = (1234, 50.0), (6789, -50.0), (5000, math.nan)
    thinned = thin(points, buckets=100)
    assert len(thinned) <= 2 * 100 + 2 + 1
    assert {points[1234], points[6789], points[0], points[-1]} <= set(thinned)
    assert [step for step, value in thinned if math.isnan(value)] == [5000]
    assert thinned == sorted(thinned)


def test_a_short_series_is_not_thinned():
    points = [(step, float(step)) for step in range(200)]
    assert thin(points, buckets=100) == points


def test_one_spike_does_not_flatten_the_rest():
    values = [2.0 + step / 100 for step in range(100)]  # 2.00 to 2.99
    assert visible_range([*values, 40.0]) == (2.0, 2.99)
    assert visible_range([*values, 5.0]) == (2.0, 2.99)
    assert visible_range([*values, 3.5]) == (2.0, 3.5)  # less than the height of the others away: shown
    assert visible_range([*values, 0.0]) == (2.0, 2.99)  # what a hidden NaN looks like in a host's log


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], (0.0, 1.0)),
        ([math.nan], (0.0, 1.0)),
        ([3.0], (3.0, 3.0)),
        ([8.0, 3.0, 2.5, math.inf], (2.5, 8.0)),
        ([2.0] * 30, (2.0, 2.0)),
        ([2.0] * 30 + [9.0], (2.0, 2.0)),
    ],
)
def test_few_or_equal_values_have_a_range_too(values, expected):
    assert visible_range(values) == expected


def test_what_is_not_shown_is_said():
    points = [(1, 8.0), (2, 3.0), (3, math.nan), (4, 7.0), (1500, -1.0), (1600, math.inf)]
    assert describe_missing(points, 2.0, 4.0) == [
        "cut off above 4: 2 of 6 values, up to 8 at step 1.",
        "cut off below 2: 1 of 6 values, down to -1 at step 1,500.",
        "not finite: 2 of 6 values, the first at step 3.",
    ]
    assert describe_missing(points[1:2], 2.0, 4.0) == []
