import math
import statistics

import pytest

from hf_strategies.arguments.parse import all_settings
from hf_strategies.planning.sweep_space import Choices, Span, corners, draw, grid, parse_axis

SETTINGS = all_settings()


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("learning_rate=1e-3, 2e-3", Choices("learning_rate", ("0.001", "0.002"))),
        ("optimizer_kwargs.betas=[0.9,0.95],[0,0.9]", Choices("optimizer_kwargs.betas", ("[0.9,0.95]", "[0,0.9]"))),
        ("optimizer=adamw,lion", Choices("optimizer", ("adamw", "lion"))),
        ("bf16=true,false", Choices("bf16", ("true", "false"))),
        ("train_file=../a.txt,b..c.txt", Choices("train_file", ("../a.txt", "b..c.txt"))),
        ("learning_rate=1e-4..1e-2", Span("learning_rate", 1e-4, 1e-2, whole=False)),
        ("optimizer_kwargs.adamw_lr=0.1..0.5", Span("optimizer_kwargs.adamw_lr", 0.1, 0.5, whole=False)),
        ("num_hidden_layers=2..16", Span("num_hidden_layers", 2.0, 16.0, whole=True)),
    ],
)  # fmt: skip
def test_what_varies_is_read(text, axis):
    assert parse_axis(text, SETTINGS) == axis


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learning_rate", "expected NAME=VALUE,VALUE"),
        ("learning_rate=", "expected NAME=VALUE,VALUE"),
        ("lerning_rate=1", "did you mean 'learning_rate'"),
        ("learning_rate=1e-3,x", "learning_rate: expected a number, got 'x'"),
        ("learning_rate=1e-3,,2e-3", "got an empty one"),
        ("learning_rate=1e-3,0.001", "0.001 is given twice"),
        ("optimizer_kwargs=momentum", "vary one of them as optimizer_kwargs.NAME"),
        ("learning_rate.x=1", "learning_rate holds no settings of its own"),
        ("learning_rate=1e-2..1e-4", "0 < LOW < HIGH"),
        ("weight_decay=0..0.1", "0 < LOW < HIGH"),
    ],
)
def test_what_is_no_axis_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        parse_axis(text, SETTINGS)


def test_a_grid_is_every_combination():
    axes = [Choices("a", ("1", "2")), Choices("b", ("x", "y"))]
    assert grid(axes) == [{"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "2", "b": "x"}, {"a": "2", "b": "y"}]


def test_draws_differ_repeat_themselves_and_begin_alike():
    axes = [Span("a", 1e-4, 1e-2, whole=False), Choices("b", ("x", "y"))]
    assert draw(axes, 5) == draw(axes, 5)
    assert draw(axes, 8)[:5] == draw(axes, 5)
    assert len({tuple(setting.values()) for setting in draw(axes, 50)}) == 50


def test_a_range_is_drawn_log_uniformly_and_inside():
    drawn = [float(setting["a"]) for setting in draw([Span("a", 1e-4, 1e-2, whole=False)], 400)]
    assert min(drawn) >= 1e-4
    assert max(drawn) <= 1e-2
    logs = [math.log10(value) for value in drawn]
    # Uniform on two decades: mean -3 and deviation 2 / sqrt(12); 0.1 is over three standard errors of either.
    assert statistics.fmean(logs) == pytest.approx(-3.0, abs=0.1)
    assert statistics.stdev(logs) == pytest.approx(2.0 / math.sqrt(12.0), abs=0.1)


def test_whole_numbers_are_drawn_whole():
    assert {setting["a"] for setting in draw([Span("a", 2.0, 4.0, whole=True)], 3)} == {"2", "3", "4"}


@pytest.mark.parametrize("axis", [Choices("a", ("1", "2")), Span("a", 1.0, 2.0, whole=True)])
def test_more_draws_than_there_are_settings_are_refused(axis):
    with pytest.raises(ValueError, match=r"expected at most 2, .* got 3"):
        draw([axis], 3)


def test_corners_hold_every_value_and_both_ends_of_ranges():
    found = corners([Choices("a", ("1", "2", "3")), Span("b", 0.1, 0.4, whole=False)])
    assert {setting["a"] for setting in found} == {"1", "2", "3"}
    assert {setting["b"] for setting in found} == {"0.1", "0.4"}
    assert len(found) == 4
