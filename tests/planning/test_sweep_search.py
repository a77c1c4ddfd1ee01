import math
import statistics

import pytest

from hf_strategies.planning.sweep_search import ListedSearch, OptunaSearch, is_never_judged
from hf_strategies.planning.sweep_space import Choices, Span
from hf_strategies.planning.trials import trial_name

RATES = [Span("learning_rate", 1e-4, 1e-1, whole=False)]


def asked(search) -> list:
    found = []
    while (one := search.ask()) is not None:
        found.append(one)
    return found


def test_a_list_tries_every_setting_with_one_seed_before_the_next():
    search = ListedSearch([{"a": "1"}, {"a": "2"}], seeds=[0, 1])
    assert search.total == 4
    assert asked(search) == [({"a": "1"}, 0), ({"a": "2"}, 0), ({"a": "1"}, 1), ({"a": "2"}, 1)]


@pytest.fixture
def optuna_search(tmp_path):
    pytest.importorskip("optuna")

    def build(axes=RATES, num_trials=8):
        return OptunaSearch(axes, num_trials, None, tmp_path / "journal")

    return build


def test_optuna_finds_a_valley_that_its_first_draws_have_missed(optuna_search):
    search, tried = optuna_search(num_trials=30), []
    while (one := search.ask()) is not None:
        rate = float(one[0]["learning_rate"])
        tried.append((math.log10(rate) + 2.0) ** 2)
        search.tell(one[0], tried[-1] if rate < 0.05 else math.inf)
    assert 20 < len(tried) <= 30  # to three digits it proposes some rates again
    assert min(tried) < 0.01  # within a tenth of a decade of 0.01, on three decades
    assert statistics.fmean(tried[15:]) < 0.5  # uniform draws would average 1


def test_a_setting_worse_than_half_of_the_others_is_stopped_and_a_good_one_goes_on(optuna_search):
    search = optuna_search()
    for loss in (3.0, 3.1, 3.2, 3.3):
        values, _ = search.ask()
        assert not search.is_hopeless(values, [])
        search.is_hopeless(values, [(0.25, loss)])
        search.tell(values, loss - 1.0)
    values, _ = search.ask()
    assert not search.is_hopeless(values, [(0.25, 2.9)])
    search.tell(values, 1.9)
    values, _ = search.ask()
    assert not search.is_hopeless(values, [(0.1, 9.0), (0.2, 9.0)])  # too early to tell
    assert search.is_hopeless(values, [(0.1, 9.0), (0.2, 9.0), (0.3, 9.0)])


def test_a_killed_search_goes_on_with_what_it_had_begun_and_counts_what_it_had_tried(optuna_search):
    first = optuna_search(num_trials=4)
    told, _ = first.ask()
    first.tell(told, 3.0)
    begun, _ = first.ask()
    del first
    second = optuna_search(num_trials=4)
    names = [trial_name(values, None) for values, _ in asked(second)]
    assert names[:2] == [trial_name(told, None), trial_name(begun, None)]
    assert len(set(names)) == 4


def test_a_setting_is_not_tried_twice_at_a_time(optuna_search):
    search = optuna_search([Choices("optimizer", ("lion", "muon"))], num_trials=12)
    begun = asked(search)
    assert len(begun) == 2
    for values, _ in begun:
        search.tell(values, 1.0)  # told for all that proposed it
    again = asked(optuna_search([Choices("optimizer", ("lion", "muon"))], num_trials=12))
    assert len(again) == 2
    assert all(one in begun for one in again)


def test_more_trials_continue_a_study_whose_settings_come_first_and_are_not_told_again(optuna_search, tmp_path):
    first = optuna_search(num_trials=2)
    earlier = asked(first)
    first.tell(earlier[0][0], 1.0)
    first.tell(earlier[1][0], None)
    second = optuna_search(num_trials=5)
    told = (tmp_path / "journal").read_bytes()
    assert [second.ask() for _ in earlier] == earlier
    for values, _ in earlier:
        assert not second.is_hopeless(values, [(0.25, 9.0)])
        second.tell(values, 1.0)
    assert (tmp_path / "journal").read_bytes() == told
    assert len(asked(second)) == 3


def test_a_setting_that_was_told_is_not_tried_again_also_by_the_next_process(optuna_search):
    axes = [Choices("optimizer", ("lion", "muon"))]
    first = optuna_search(axes, num_trials=2)
    while (one := first.ask()) is not None:
        first.tell(one[0], 1.0)
    settings = [values["optimizer"] for values, _ in asked(optuna_search(axes, num_trials=12))]
    assert len(settings) == len(set(settings)) == 2


@pytest.mark.parametrize(
    ("training", "never"),
    [
        ({}, True),
        ({"eval_strategy": "no", "max_steps": 100, "eval_steps": 25}, True),
        ({"eval_strategy": "steps", "max_steps": 100, "eval_steps": 100}, True),
        ({"eval_strategy": "steps", "max_steps": 100, "eval_steps": 99}, False),
        ({"eval_strategy": "steps", "max_steps": 100, "eval_steps": 0.5}, False),
        ({"eval_strategy": "steps", "max_steps": 400}, True),  # the host evaluates as often as it logs: every 500
        ({"eval_strategy": "steps", "max_steps": 400, "logging_steps": 10}, False),
        ({"eval_strategy": "steps", "eval_steps": 100}, False),
        ({"eval_strategy": "epoch", "max_steps": 100}, False),
    ],
)
def test_runs_without_an_evaluation_before_their_end_are_never_judged(training, never):
    assert is_never_judged(training) is never
