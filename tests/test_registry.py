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


@pytest.mark.parametrize("name", [["square_root"], {"square_root": 1}, None, 2, True], ids=str)
def test_what_is_no_text_is_an_unknown_name(name):
    registry = with_a_family()
    registry.add("None", math.sqrt, summary="a text that looks like another value")
    assert name not in registry
    with pytest.raises(UserError, match=r"unknown root .* \(known: None, cube_root, square_root"):
        registry[name]


def test_a_name_is_given_once():
    registry = shelf()
    with pytest.raises(ValueError, match="already registered"):
        registry.add("cube_root", math.sqrt, summary="again")


def with_a_family() -> Registry:
    registry = shelf()
    registry.add_family("powers", "operator:pow", summary="base ** exponent", exact=True)
    return registry


def test_a_family_builds_any_member_and_hands_it_its_name():
    entry = with_a_family()["powers:2"]
    assert (entry.name, entry.member, entry.facts) == ("powers:2", "2", {"exact": True})
    calls = Registry("call")
    calls.add_family("pair", lambda member, value: (member, value), summary="")
    assert calls["pair:left"].build(1) == ("left", 1)
    assert calls["pair:right"].build(2) == ("right", 2)


def test_a_familys_members_are_in_it_without_being_counted():
    registry = with_a_family()
    assert "powers:anything" in registry
    assert "powers:" not in registry
    assert "powers" not in registry
    assert "roots:2" not in registry
    assert registry.names() == ["cube_root", "square_root"]
    assert [family.name for family in registry.families()] == ["powers:NAME"]


def test_a_typo_in_a_prefix_is_answered_with_the_family():
    with pytest.raises(
        UserError, match=r"unknown root 'power:NAME', did you mean 'powers:NAME'\? \(known: .*powers:NAME"
    ):
        with_a_family()["power:NAME"]
