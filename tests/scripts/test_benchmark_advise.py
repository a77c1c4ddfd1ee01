"""The benchmark of advice: its data, and what it makes of what was said."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from hf_strategies.errors import UserError
from hf_strategies.planning.advice_request import parse_advice

SCRIPTS = Path(__file__).parents[2] / "scripts"
STANDING = {
    "name": "linear", "accuracy": 0.98, "seed_spread": 0.01, "seconds": 0.51, "row_seconds": 1e-4, "parameters": 30,
    "is_whole": True, "foretold": {"10": [0.99, 0.97, 1.0]},
}  # fmt: skip
RESULTS = {"chosen": "linear", "as_good": ["linear", "lstm"], "advice": ["train linear"], "contenders": [STANDING]}


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    """The benchmark as a module, its rows in a folder of the test's own."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    module = importlib.import_module("benchmarks.advise")
    monkeypatch.setattr(module, "ROWS", tmp_path / "advise.jsonl")
    return module


@pytest.fixture
def cases(benchmark):
    return importlib.import_module("benchmarks.advice_runs.cases")


def test_nothing_but_order_tells_the_class_of_ordered_rows(cases, tmp_path):
    cases.order(tmp_path)
    rows = np.load(tmp_path / "order.npz")
    values, classes = rows["sequences"], rows["labels"]
    marks = [np.flatnonzero(np.abs(row) > 1.5) for row in values]
    assert all(len(found) == 2 and found[1] - found[0] == cases.APART for found in marks)
    assert [int(row[found[0]] > 0) for row, found in zip(values, marks)] == classes.tolist()
    for statistic in (np.mean, np.std, np.max, np.min):
        of_class = [statistic(values[classes == number], axis=1) for number in (0, 1)]
        # Means of a thousand rows of deviation 0.1 at most: nothing beyond four standard errors.
        assert abs(of_class[0].mean() - of_class[1].mean()) < 4 * 0.1 * np.sqrt(2 / 1000)
    assert all(abs(row[[0, -1]]).max() < 1.0 for row in values)


def test_words_tell_wherever_they_stand(cases, tmp_path):
    cases.words(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "words.jsonl").read_text().splitlines()]
    assert len(rows) == cases.WORDED
    assert all(("sunny" in row["text"].split()) == (row["label"] == "fair") for row in rows)
    assert len({row["text"].split().index("sunny") for row in rows if row["label"] == "fair"}) == 22


@pytest.mark.parametrize("case", ["TREC", "AG News", "digits", "order", "words"])
def test_every_case_is_a_command_line_whose_contenders_are_known(cases, case, tmp_path, real_data):
    real_data("ag_news/ag_news_7600.csv")
    asked = cases.CASES[case]
    request = parse_advice([*asked.flags(tmp_path), "--budget=240s"])
    assert set(asked.known) < set(request.contenders)


def test_advice_is_judged_by_what_is_known(benchmark):
    met, missed = benchmark.verdicts({"words": RESULTS, "order": RESULTS})
    assert (met["advice"], met["as good"], met["verdict"]) == ("linear", "linear, lstm", "met")
    assert (missed["right"], missed["verdict"]) == ("gru or transformer", "missed")


def test_what_was_asked_is_not_asked_again(benchmark, monkeypatch):
    workshop = importlib.import_module("benchmarks.advice_runs.workshop")
    asked = []

    def finish(case, script, words, folder, lock):
        asked.append(words)
        (folder / "out").mkdir()
        (folder / "out" / "advice.json").write_text(json.dumps(RESULTS))
        return 1.0

    monkeypatch.setattr(workshop, "finish", finish)
    for _ in range(2):
        found = benchmark.run(cases=("words",), budget=5, seeds=1, max_train_samples=100)
    (words,) = asked
    assert words[-3:] == ["--budget=5s", "--num_seeds=1", "--max_train_samples=100"]
    table = found.tables[1].rows[0]
    assert (table["contender"], table["accuracy"], table["with 10x"]) == ("linear", 0.98, "0.990 (0.970 to 1.000)")
    assert found.remarks[0] == "words: train linear."
    assert found.condition == "100 rows"
    benchmark.run(cases=("words",), budget=6, seeds=1, max_train_samples=100)
    assert len(asked) == 2


def test_an_unknown_case_is_answered_with_the_nearest(benchmark):
    with pytest.raises(UserError, match="unknown case 'digit', did you mean 'digits'"):
        benchmark.run(cases=("digit",))
