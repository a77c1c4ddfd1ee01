import math

import pytest

from hf_strategies.reports.terminal import (
    format_clock,
    format_count,
    format_duration,
    format_number,
    format_table,
    format_value,
    printable,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.91723, "3.917"), (0.92134, "0.9213"), (13652.3, "13,652"), (5031424, "5,031,424"), (0.00015, "0.00015"),
        (1.5e-5, "1.5e-5"), (3.0, "3"), (0, "0"), (-0.0, "0"), (-0.5, "-0.5"), (math.nan, "nan"), (-math.inf, "-inf"),
        (0.1 + 0.2, "0.3"),
    ],
)  # fmt: skip
def test_numbers_have_four_digits_and_whole_ones_all(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (812, "812"), (999.4, "999"), (999.6, "1.00 k"), (12_345, "12.3 k"), (999_499, "999 k"),
        (999_600, "1.00 M"), (5_031_424, "5.03 M"), (1.2e9, "1.20 B"), (3e12, "3.00 T"), (4e15, "4000 T"),
    ],
)  # fmt: skip
def test_counts_have_three_digits(value, text):
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"), (8.44, "8.4 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (298.2, "4 min 58 s"),
        (3599.4, "59 min 59 s"), (3599.6, "1 h 00 min"), (7530, "2 h 06 min"), (97_200, "1 d 3 h"),
    ],
)  # fmt: skip
def test_times_have_their_two_largest_units(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (61.0, "1:01"), (3599.6, "1:00:00"), (90061.0, "25:01:01")]
)
def test_a_clock_shows_seconds_to_the_last(seconds, text):
    assert format_clock(seconds) == text


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("\x1b[2J\r\x07 a\\b", "utf-8", r"\x1b[2J\r\x07 a\b"),  # clears the screen, hides a line, rings
        ("na\u00efve \ufffd", "utf-8", "na\u00efve \ufffd"),
        ("na\u00efve \ufffd", "latin-1", "na\u00efve \\ufffd"),
        ("\u202e\udc80", "utf-8", r"\u202e\udc80"),  # turns the line around; half a character
    ],
)
def test_a_terminal_is_shown_characters_and_given_no_orders(text, encoding, shown):
    assert printable(text, encoding) == shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"), (True, "true"), (4096, "4096"), (0.004, "0.004"), ("muon", "muon"), ([1, "a"], "1, a"),
        ({"momentum": 0.95, "nesterov": True}, "momentum=0.95, nesterov=true"),
    ],
)  # fmt: skip
def test_settings_are_written_as_they_are(value, text):
    assert format_value(value) == text


def test_columns_are_aligned_and_numbers_stand_on_the_right():
    table = format_table(
        [["adamw", 4.84, "1 min 02 s"], ["muon", 13652, "58.0 s"]], headers=["optimizer", "loss", "time"]
    )
    assert table.splitlines() == [
        "optimizer    loss        time",
        "---------  ------  ----------",
        "adamw        4.84  1 min 02 s",
        "muon       13,652      58.0 s",
    ]


def test_a_wide_table_shortens_its_widest_text_to_fit_100_characters():
    rows = [["data/" + "x" * 150, "a note of some words", 1234567.0], ["short", "two\nlines", 2.0]]
    first, second = format_table(rows).splitlines()
    assert len(first) == 100
    assert first.endswith("...  a note of some words  1,234,567")
    assert "two lines" in second


def test_a_table_of_nothing_is_nothing():
    assert format_table([]) == ""
    assert format_table([], headers=["loss"]) == "loss\n----"
