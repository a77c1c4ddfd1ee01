import base64
import io
import re

import pytest
from PIL import Image, ImageColor

from hf_strategies.reports import Confusion, Mistake, PredictionReport, RunRecord, model_card
from hf_strategies.reports.html_report import render_report
from hf_strategies.reports.mistakes import MOST_MISTAKES, thumbnail
from hf_strategies.reports.palette import DARK, LIGHT
from hf_strategies.reports.prediction_tables import STRONGEST, class_table, confusion_table

PETS = Confusion(("cat", "<dog>", "cow"), ((7, 3, 0), (1, 9, 0), (0, 0, 0)))
NASTY = "</pre><script>alert(1)</script>"


def record(confusion=PETS, mistakes=()) -> RunRecord:
    return RunRecord(title="a", location="b", predictions=PredictionReport(confusion=confusion, mistakes=mistakes))


def cells(html: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [[re.sub("<[^>]+>", " ", cell).strip() for cell in re.findall("<t[hd].*?</t[hd]>", row)] for row in rows]


def test_counts_stand_with_their_shares_in_rows_of_true_classes():
    assert cells(confusion_table(PETS)) == [
        ["true / predicted", "cat", "&lt;dog&gt;", "cow"],
        ["cat", "7 70%", "3 30%", "0"],
        ["&lt;dog&gt;", "1 10%", "9 90%", "0"],
        ["cow", "0", "0", "0"],
    ]


def test_cells_are_shaded_by_their_share_mistakes_in_another_colour():
    shades = re.findall(r'<td class="(\w+)" style="--strength:(\d+)%">(\d+)<', confusion_table(PETS))
    # The square root of 0.7, 0.3, 0.1 and 0.9, of 45.
    assert shades == [("right", "38", "7"), ("wrong", "25", "3"), ("wrong", "14", "1"), ("right", "43", "9")]


def test_each_class_has_its_scores():
    assert cells(class_table(PETS))[1:] == [
        ["cat", "0.875", "0.700", "0.778", "10"],
        ["&lt;dog&gt;", "0.750", "0.900", "0.818", "10"],
        ["cow", "-", "-", "-", "0"],
    ]


def test_a_table_of_many_classes_says_what_it_leaves_out():
    counts = [[9 if row == column else int(row == 29) for column in range(30)] for row in range(30)]
    many = Confusion([f"class {number}" for number in range(30)], counts)
    for html in (confusion_table(many), class_table(many)):
        assert len(cells(html)) == 21
        assert "These are the 20 of 30 classes that are confused most." in html
        assert cells(html)[-1][0] == "class 29"
    assert 'class="confusion many"' in confusion_table(many)
    assert "of 3 classes" not in confusion_table(PETS) + class_table(PETS)


def test_a_mistake_shows_its_text_or_its_picture_and_nothing_of_it_is_markup():
    picture = thumbnail(Image.new("RGB", (8, 8), "red"))
    text = Mistake(true=NASTY, predicted=NASTY, probability=0.9999, loss=3.5, text=NASTY)
    page = render_report(
        record(mistakes=[text, Mistake(true='"', predicted="b", probability=1, loss=2, image=picture)])
    )
    assert "<script>" not in page
    assert page.count("&lt;/pre&gt;&lt;script&gt;") == 3
    assert "<td>&gt;99%</td><td>3.5</td>" in page
    (encoded,) = re.findall(r'<img alt="&quot;" src="data:image/png;base64,([^"]+)">', page)
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as shown:
        assert shown.convert("RGB").getpixel((3, 3)) == (255, 0, 0)


def test_the_page_loads_its_own_pictures_and_nothing_else():
    assert "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"" in render_report(record())


def test_without_mistakes_or_predictions_there_is_no_heading_for_them():
    assert "Worst mistakes" not in render_report(record())
    assert "Confusion matrix" in render_report(record())
    assert "Confusion matrix" not in render_report(RunRecord(title="a", location="b"))


def test_twenty_pictures_keep_the_page_small():
    noise = thumbnail(Image.effect_noise((200, 200), 90))
    shown = [Mistake(true="a", predicted="b", probability=0.5, loss=1.0, image=noise)] * MOST_MISTAKES
    assert len(render_report(record(mistakes=shown))) < 150_000


def test_the_card_names_what_is_confused_most():
    card = model_card(record())
    assert "Most often, 'cat' is taken for '&lt;dog>' 3 times (30% of 'cat')." in card
    right = Confusion(("a", "b"), ((3, 0), (0, 4)))
    assert "Most often" not in model_card(record(right))
    assert "Most often" not in model_card(RunRecord(title="a", location="b"))


def luminance(channels):
    shares = [channel / 255 for channel in channels]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("colour", ["train", "eval"])
def test_a_count_can_be_read_on_the_strongest_shade(palette, colour):
    over, under, ink = (ImageColor.getrgb(palette[name]) for name in (colour, "paper", "ink"))
    shade = [(STRONGEST * top + (100 - STRONGEST) * bottom) / 100 for top, bottom in zip(over, under, strict=True)]
    dark, light = sorted([luminance(shade), luminance(ink)])
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG AA for text
