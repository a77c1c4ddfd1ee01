import math

import numpy as np
import pytest
from PIL import Image

from hf_strategies.planning.compare_plot import draw_comparison
from hf_strategies.planning.compare_verdicts import answer, judge, notes, verdict_table
from hf_strategies.planning.sweep_results import SettingResult

FIRST = (3.00, 3.10, 3.20, 3.05, 3.15)


def setting(name: str, losses: tuple[float, ...], *, seconds: float = 50.0, status: str = "finished") -> SettingResult:
    return SettingResult({"optimizer": name}, status, losses, "" if status == "finished" else f"it {status}", seconds)


def shifted(*shifts: float) -> tuple[float, ...]:
    return tuple(loss + shift for loss, shift in zip(FIRST, shifts, strict=True))


@pytest.fixture
def verdicts():
    return judge([
        setting("adamw", FIRST),
        setting("muon", shifted(-0.30, -0.31, -0.29, -0.30, -0.30), seconds=70.0),
        setting("sgd", shifted(0.50, 0.52, 0.48, 0.50, 0.50)),
        setting("lion", shifted(0.001, -0.001, 0.002, -0.002, 0.0)),
        setting("lamb", shifted(0.4, -0.5, 0.3, -0.4, 0.1)),
        setting("sophia", (3.0,), status="diverged"),
    ])  # fmt: skip


def test_a_change_helps_hurts_does_not_matter_or_is_unsettled(verdicts):
    words = [verdict.word for verdict in verdicts]
    assert words == ["first", "helps", "hurts", "no matter", "unsettled", "diverged"]


def test_what_is_tested_is_adjusted_for_all_that_is_tested_and_for_nothing_else(verdicts):
    # Four settings came to their end: the smallest chance counts four times.
    smallest = min(verdict.difference.p for verdict in verdicts if verdict.difference)
    assert min(verdict.p for verdict in verdicts if verdict.difference) == pytest.approx(4 * smallest)
    assert verdicts[-1].difference is None
    assert math.isnan(verdicts[-1].p)


def test_the_answers_are_sentences_with_their_numbers(verdicts):
    said = [answer(verdict, verdicts[0].result, "eval_loss") for verdict in verdicts]
    assert said[1].startswith("optimizer muon helps: eval_loss -0.3 (-9.7%), in 1.4 times the time; 95% between -0.3")
    assert said[2].startswith("optimizer sgd hurts: eval_loss +0.5 (+16.1%); 95% between")
    assert said[3].startswith("optimizer lion makes no difference that matters: eval_loss ")
    assert said[3].endswith("within 1%")
    assert "optimizer lamb is unsettled: eval_loss -0.02" in said[4]
    assert said[4].endswith("more than 100 seeds would settle a difference of this size")
    assert said[5] == "optimizer sophia: it diverged"


def test_one_seed_is_said_to_prove_nothing():
    first, other = judge([setting("adamw", (3.0,)), setting("muon", (2.7,))])
    assert answer(other, first.result, "eval_loss").endswith("one seed cannot tell that from luck")


def test_a_named_number_of_seeds_would_settle_it():
    # Differences of 0.18, 0.10 and 0.02: mean 0.1, deviation 0.08. 7.85 * 0.8^2 is 5.02: six seeds, and two.
    first, other = judge([setting("adamw", (3.0, 3.0, 3.0)), setting("muon", (2.82, 2.9, 2.98))])
    assert other.word == "unsettled"
    assert "about 8 seeds would settle" in answer(other, first.result, "eval_loss")


def test_the_table_keeps_the_order_in_which_settings_were_asked_for(verdicts):
    lines = verdict_table(verdicts, "eval_loss").splitlines()[2:]
    assert [line.split()[1] for line in lines] == ["adamw", "muon", "sgd", "lion", "lamb", "sophia"]
    assert lines[1].endswith("14.0 s  helps")  # 70 seconds for five runs


def test_the_notes_name_the_test_its_limits_and_what_is_unfair(verdicts):
    said = " ".join(notes(verdicts, "tokens"))
    assert "paired t test over 5 seeds, p by Holm over 4 questions" in said
    assert "could not fall below 0.062 with 5 seeds" in said  # 2 / 2^5
    assert "another optimizer may want another rate" in said
    rates = judge([SettingResult({"learning_rate": rate}, "finished", FIRST, "", 1.0) for rate in ("0.1", "0.2")])
    assert "another rate" not in " ".join(notes(rates, "tokens"))


def test_a_comparison_has_a_picture(verdicts, tmp_path):
    path = tmp_path / "compare.png"
    draw_comparison(verdicts, path, title="Against adamw", measure="eval_loss", caption=notes(verdicts, "tokens"))
    with Image.open(path) as picture:
        assert picture.width == 1600
        assert len(np.unique(np.asarray(picture))) > 8


def test_more_seeds_are_asked_for_than_there_were():
    # Three seeds settle it alone (p 0.03), and not as one of three questions.
    losses = [(3.0, 3.1, 3.2), (2.95, 3.07, 3.16), (3.0, 3.2, 3.1), (3.1, 3.0, 3.2)]
    first, unsettled, *_ = judge([setting(str(number), each) for number, each in enumerate(losses)])
    assert unsettled.difference.p < 0.05 < unsettled.p
    assert unsettled.difference.pairs_needed <= 3
    assert "about 4 seeds would settle" in answer(unsettled, first.result, "eval_loss")


def test_an_option_has_its_own_name_where_no_other_has_the_same():
    values = {"architecture_kwargs.positions": "learned", "optimizer_kwargs.eps": "1e-8", "scheduler_kwargs.eps": "0"}
    others = [{**values, name: "x"} for name in values]
    found = judge([SettingResult(each, "finished", FIRST, "", 1.0) for each in (values, *others)])
    assert [verdict.name for verdict in found[1:]] == [
        "positions x",
        "optimizer_kwargs.eps x",
        "scheduler_kwargs.eps x",
    ]
