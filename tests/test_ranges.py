import math

import pytest

from hf_strategies import ranges

BIG = 10**400  # beyond what a float can hold


@pytest.mark.parametrize(
    ("name", "held", "refused"),
    [
        ("NOT_NEGATIVE", [0, 0.5, BIG], [-1e-9, -BIG]),
        ("POSITIVE", [1e-9, 3], [0, -1]),
        ("AT_LEAST_ONE", [1, 1.5], [0.99]),
        ("RATIO", [0, 0.5, 1], [-0.1, 1.1]),
        ("POSITIVE_RATIO", [1e-9, 1], [0, 1.1]),
        ("AVERAGE", [0, 0.999], [1, -0.1]),
        ("COUNT", [1, 7], [0, 1.0]),
        ("LEARNING_RATE", [0, 8e-3, 10], [-1e-9, 10.1, 1e6]),
    ],
)
def test_a_rule_holds_within_its_range_and_for_numbers_alone(name, held, refused):
    holds, expected = getattr(ranges, name)
    assert all(holds(value) for value in held)
    assert not any(holds(value) for value in [*refused, math.nan, math.inf, True, "1", None, [1]])
    assert "number" in expected


def test_a_switch_is_no_number_and_no_word():
    holds, _ = ranges.SWITCH
    assert [holds(value) for value in (True, False, 1, 0, "true", None)] == [True, True, False, False, False, False]


def test_words_are_listed_in_the_message_and_anything_else_is_refused():
    holds, expected = ranges.one_of({"tied": 1, "independent": 2})
    assert expected == "one of tied, independent"
    assert [holds(value) for value in ("tied", "loose", ["tied"], None)] == [True, False, False, False]


def test_none_is_admitted_where_it_means_something():
    holds, expected = ranges.or_none(ranges.COUNT, " for every one")
    assert expected == "a whole number >= 1, or none for every one"
    assert [holds(value) for value in (None, 3, 0, False)] == [True, True, False, False]
