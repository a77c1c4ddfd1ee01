import re

import pytest
from PIL import ImageColor

from hf_strategies.reports.palette import DARK, LIGHT
from hf_strategies.reports.stylesheet import STYLESHEET


def luminance(color):
    """Relative luminance of sRGB, as WCAG 2 defines it."""
    shares = [channel / 255 for channel in ImageColor.getrgb(color)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_can_be_read_on_their_ground(palette):
    for ground in ("paper", "panel"):
        assert contrast(palette["ink"], palette[ground]) >= 7.0  # WCAG AAA for text
        assert contrast(palette["muted"], palette[ground]) >= 4.5  # WCAG AA for text
    for line in ("train", "eval", "rate", "norm", "speed"):
        assert contrast(palette[line], palette["paper"]) >= 3.0  # WCAG AA for graphics


def test_every_colour_of_the_page_has_a_light_and_a_dark_form():
    used = set(re.findall(r"var\(--(\w+)\)", STYLESHEET)) - {"color", "strength"}
    assert used
    assert used <= LIGHT.keys()
    assert LIGHT.keys() == DARK.keys()
