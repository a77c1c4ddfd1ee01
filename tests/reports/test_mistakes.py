import io
import math

import numpy as np
import pytest
from PIL import Image

from hf_strategies.reports.mistakes import MOST_CHARACTERS, MOST_MISTAKES, THUMBNAIL, thumbnail, worst_mistakes

NAMES = ("cat", "dog", "cow")
# Probabilities 1/2, 1/4 and 1/4 of what is favoured once, 8/10 and 1/10 twice of what is favoured thrice.
LOGITS = np.log([[2, 1, 1], [8, 1, 1], [8, 1, 1], [1, 8, 1], [1, 2, 1]]).astype(np.float32)


def test_the_worst_come_first_and_what_is_right_is_left_out():
    found = worst_mistakes(LOGITS, [1, 1, 0, -100, 2], NAMES, show="row {}".format)
    assert [(mistake.text, mistake.true, mistake.predicted) for mistake in found] == [
        ("row 1", "dog", "cat"),
        ("row 0", "dog", "cat"),
        ("row 4", "cow", "dog"),
    ]
    assert [mistake.probability for mistake in found] == pytest.approx([0.8, 0.5, 0.5])
    assert [mistake.loss for mistake in found] == pytest.approx([math.log(10), math.log(4), math.log(4)], rel=1e-6)


def test_there_are_twenty_at_most_and_only_they_are_looked_up():
    looked_up = []

    def show(row: int) -> str:
        looked_up.append(row)
        return "x" * 2 * MOST_CHARACTERS

    logits = np.zeros((100, 3))
    logits[:, 0] = np.arange(100)
    found = worst_mistakes(logits, np.ones(100, dtype=int), NAMES, show)
    assert looked_up == list(range(99, 99 - MOST_MISTAKES, -1))
    assert {len(mistake.text) for mistake in found} == {MOST_CHARACTERS}
    assert found[0].text.endswith("x...")


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "1", "P", "CMYK"])
def test_a_picture_is_a_small_png(mode):
    png = thumbnail(Image.effect_noise((300, 150), 90).convert(mode))
    with Image.open(io.BytesIO(png)) as small:
        assert (small.format, small.size) == ("PNG", (THUMBNAIL, THUMBNAIL // 2))
    assert len(png) < 6000  # twenty of them stay far below what a page may weigh


def test_a_tiny_picture_keeps_its_pixels():
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    (mistake,) = worst_mistakes(LOGITS[:1], [1], NAMES, show=lambda _: Image.fromarray(pixels))
    assert mistake.text == ""
    with Image.open(io.BytesIO(mistake.image)) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("L")), pixels)
