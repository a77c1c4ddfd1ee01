import math

import pytest

from hf_strategies.errors import UserError
from hf_strategies.registry import Registry


def shelf() -> Registry:
    registry = Registry("root")
    registry.add("square_root", "math:sqrt", summary="by address", exact=False)
    registry.add("cube_root", math.cbrt if hasattr(math, "cbrt") else math.sqrt, summary="by value")
    return registry


def test_an_address_is_imported_when_it_is_built():
    assert shelf()["square_root"].build is math.sqrt
    assert shelf()["square_root"].facts == {"exact": False}


def test_names_are_sorted_and_entries_keep_their_order():
    assert shelf().names() == ["cube_root", "square_root"]
    assert [entry.name for entry in shelf()] == ["square_root", "cube_root"]
    assert "cube_root" in shelf()


def test_a_typo_is_answered_with_the_right_name_and_the_known_ones():
    with pytest.raises(UserError, match=r"unknown root 'sqare_root', did you mean 'square_root'\? \(known: cube_root"):
        shelf()["sqare_root"]


def test_a_name_is_given_once():
    registry = shelf()
    with pytest.raises(ValueError, match="already registered"):
        registry.add("cube_root", math.sqrt, summary="again")
