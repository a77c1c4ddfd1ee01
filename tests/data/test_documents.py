import pytest

from hf_strategies.data.documents import BrokenRecords
from hf_strategies.errors import UserError


def feed(broken: BrokenRecords, *, good: int, bad: int) -> BrokenRecords:
    for _ in range(good):
        broken.good()
    for row in range(1, bad + 1):
        broken.broken("pile.jsonl", row, "not JSON")
    return broken


def test_ten_broken_of_a_thousand_are_one_percent_and_pass():
    feed(BrokenRecords(max_share=0.01), good=990, bad=10).check()


def test_eleven_broken_of_a_thousand_stop_the_reading_at_once():
    with pytest.raises(UserError, match=r"11 of 1,000 records are broken.*0\.01.*pile\.jsonl:1 not JSON"):
        feed(BrokenRecords(max_share=0.01), good=989, bad=11)


def test_few_records_are_judged_only_at_the_end():
    broken = feed(BrokenRecords(max_share=0.01), good=1, bad=1)
    with pytest.raises(UserError, match="1 of 2 records"):
        broken.check()


def test_the_share_is_the_users_to_set():
    feed(BrokenRecords(max_share=0.5), good=1, bad=1).check()
    with pytest.raises(UserError, match=r"\[0, 1\], got 1\.5"):
        BrokenRecords(max_share=1.5)


def test_the_summary_names_twenty_and_counts_the_rest():
    lines = feed(BrokenRecords(max_share=1.0), good=3, bad=25).summary().splitlines()
    assert lines[0] == "skipped 25 broken of 28 records:"
    assert lines[1] == "  pile.jsonl:1 not JSON"
    assert lines[20:] == ["  pile.jsonl:20 not JSON", "  and 5 more"]
    assert BrokenRecords().summary() == ""


def test_binary_files_are_listed_and_not_judged():
    broken = BrokenRecords(max_share=0.0)
    broken.good()
    for number in range(22):
        broken.binary(f"picture{number}.png")
    broken.check()
    lines = broken.summary().splitlines()
    assert lines[:2] == ["left out 22 binary files:", "  picture0.png"]
    assert lines[-1] == "  and 2 more"


def test_a_new_pass_counts_afresh_by_the_same_share():
    broken = feed(BrokenRecords(max_share=0.5), good=3, bad=2)
    broken.restart()
    assert broken == BrokenRecords(max_share=0.5)
