import math
import re
from xml.etree import ElementTree as ET

import pytest

from hf_strategies.reports.svg_chart import BOTTOM, LEFT, RIGHT, TOP, Curve, Frame, line_chart, nice_ticks

FRAME = Frame(400, 200, (0.0, 100.0), (0.0, 10.0))


def draw(points, **look):
    curve = Curve(label="a <curve> & more", points=points, color="train", **look)
    return ET.fromstring(line_chart([curve], FRAME, title="A & <b>", marks=[50]))


def path_of(chart):
    return chart.find("g/path").get("d")


def test_the_corners_of_the_ranges_are_the_corners_of_the_plot():
    assert (FRAME.x(0.0), FRAME.y(0.0)) == (LEFT, 200 - BOTTOM)
    assert (FRAME.x(100.0), FRAME.y(10.0)) == (400 - RIGHT, TOP)


def test_a_line_goes_through_its_points_and_stops_at_a_gap():
    d = path_of(draw([(0, 0.0), (50, 5.0), (60, math.nan), (100, 10.0)]))
    middle = f"{FRAME.x(50):.1f} {FRAME.y(5):.1f}"
    assert d == f"M{LEFT:.1f} {200 - BOTTOM:.1f}h0L{middle}M{400 - RIGHT:.1f} {TOP:.1f}h0"


def test_text_from_outside_cannot_become_markup():
    chart = draw([(0, 1.0), (100, 2.0)], marked=True)
    assert chart.get("aria-label") == "A & <b>"
    assert chart.find("circle/title").text == "a <curve> & more 1 at step 0"


def test_dots_outside_the_frame_are_not_drawn():
    chart = draw([(0, 1.0), (50, 99.0), (70, math.nan), (100, 2.0)], marked=True)
    assert len(chart.findall("circle")) == 2


def test_a_resume_is_a_line_across_the_chart():
    assert draw([(0, 1.0)]).find("path[@class='mark']").get("d") == f"M{FRAME.x(50):.1f} {TOP}V{200 - BOTTOM}"


def test_a_long_curve_is_thinned_to_the_width_of_the_chart():
    d = path_of(draw([(step / 1000, 5.0 + step % 3) for step in range(100_000)]))
    assert len(re.findall("[ML]", d)) <= 400 + 2


@pytest.mark.parametrize(
    ("low", "high", "count", "ticks"),
    [
        (0.0, 10.0, 5, [0, 2, 4, 6, 8, 10]),
        (0.0, 12.0, 5, [0, 5, 10]),
        (2.2, 8.6, 7, [3, 4, 5, 6, 7, 8]),
        (0.0, 0.0042, 4, [0, 0.002, 0.004]),
        (-0.5, 0.5, 5, [-0.4, -0.2, 0, 0.2, 0.4]),
        (0, 12_000, 8, [0, 2000, 4000, 6000, 8000, 10_000, 12_000]),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(low, high, count, ticks):
    assert nice_ticks(low, high, count) == pytest.approx(ticks)
