"""What every metric on the shelf promises."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hf_strategies.errors import MissingPackageError, UserError
from hf_strategies.metrics import EVALUATE_MODULE, METRICS, compute_metrics

ROOT = Path(__file__).parents[2]

TWO_CLASSES = ([1, 1, 0, 0, 1], [1, 0, 0, 1, 1])  # of class 1: two right, one false alarm, one miss
SEVERAL_LABELS = ([[1, 0, 1], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]])
LINES = ([1, 2, 6], [1, 3, 2])
TAGS = (  # three true, two predicted, one of them right
    [["B-PER", "I-PER", "O", "B-ORG"], ["O", "O"]],
    [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-LOC"]],
)
CATS = (["the cat sat"], ["the cat ran fast"])

# What goes in, and what comes out by hand.
BY_HAND = {
    "accuracy": (TWO_CLASSES, {}, 3 / 5),
    "f1": (TWO_CLASSES, {}, 2 * 2 / (2 * 2 + 1 + 1)),
    "f1_macro": (TWO_CLASSES, {}, (2 / 3 + 1 / 2) / 2),
    "f1_micro": (TWO_CLASSES, {}, 3 / 5),
    "f1_weighted": (TWO_CLASSES, {}, (3 * 2 / 3 + 2 * 1 / 2) / 5),
    "matthews_correlation": (TWO_CLASSES, {}, (2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2)),
    "top_k_accuracy": (([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], [1, 2, 2]), {"k": 2}, 2 / 3),
    "subset_accuracy": (SEVERAL_LABELS, {}, 1 / 2),
    "multilabel_f1_macro": (SEVERAL_LABELS, {}, (1 + 1 + 0) / 3),
    "multilabel_f1_micro": (SEVERAL_LABELS, {}, 2 * 2 / (2 * 2 + 1)),
    "pearson": (LINES, {}, 1 / math.sqrt(14 * 2)),
    "spearman": (LINES, {}, 1 / 2),
    "mean_absolute_error": (LINES, {}, 5 / 3),
    "mean_squared_error": (LINES, {}, 17 / 3),
    "entity_f1": (TAGS, {}, 2 / 5),
    "entity_precision": (TAGS, {}, 1 / 2),
    "entity_recall": (TAGS, {}, 1 / 3),
    "exact_match": ((["a cat", "dog"], ["a cat", "dogs"]), {}, 1 / 2),
    # Of 6 words 5, of 5 pairs 3, of 4 triples 2, of 3 quadruples 1.
    "bleu": (
        (["the cat sat on the mat"], ["the cat sat on a mat"]),
        {},
        100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25,
    ),
    "chrf": ((["ab"], ["ac"]), {}, 100 * (1 / 2 + 0) / 2),  # one of two characters, none of one pair
    "rouge1": (CATS, {}, 2 * 2 / (3 + 4)),
    "rouge2": (CATS, {}, 2 * 1 / (2 + 3)),
    "rougeL": (CATS, {}, 2 * 2 / (3 + 4)),
    "rougeLsum": ((["the sat\ncat"], ["the cat\nsat"]), {}, 1.0),  # of sentences, in any order
    "perplexity": (([[-math.log(2), -math.log(8), -9.0]], [[7, 7, -100]]), {}, 4.0),
}

# What no model can do better than.
PERFECT = {
    "class_labels": ([0, 1, 1], [0, 1, 1]),
    "class_scores": (np.eye(7), np.arange(7)),
    "indicators": ([[1, 0], [0, 1]], [[1, 0], [0, 1]]),
    "numbers": ([0.5, -1.0, 2.0], [0.5, -1.0, 2.0]),
    "tag_rows": ([["B-PER", "O"]], [["B-PER", "O"]]),
    "texts": (["one two three four five"], ["one two three four five"]),
    "token_values": ([[0.0, 0.0]], [[3, 4]]),
}

NOT_FINITE = {
    "class_labels": ([[0.1, 0.9], [math.nan, 0.2]], [1, 0]),
    "class_scores": ([[0.1, 0.2, 0.7], [math.inf, 0.2, 0.1]], [1, 0]),
    "indicators": ([[1.0, 0.0], [math.nan, 1.0]], [[1, 0], [0, 1]]),
    "numbers": ([0.5, math.inf], [0.5, 1.0]),
    "token_values": ([-1.0, math.nan], [3, 4]),
}


def test_there_is_something_to_check():
    assert sorted(BY_HAND) == METRICS.names()


@pytest.mark.parametrize("name", METRICS.names())
def test_the_value_is_the_one_by_hand(name):
    (predictions, references), settings, expected = BY_HAND[name]
    computed = compute_metrics([name], predictions, references, **settings)
    assert computed == {name: pytest.approx(expected)}
    assert type(computed[name]) is float  # a NumPy number would not be written as JSON


@pytest.mark.parametrize("name", METRICS.names())
def test_perfect_predictions_reach_the_end_of_the_range_and_others_stay_within(name):
    facts = METRICS[name].facts
    lowest, highest = facts["range"]
    best = highest if facts["greater_is_better"] else lowest
    assert compute_metrics([name], *PERFECT[facts["inputs"]]) == {name: pytest.approx(best)}
    assert lowest <= BY_HAND[name][2] <= highest


@pytest.mark.parametrize("name", METRICS.names())
def test_nothing_to_compare_is_an_error(name):
    with pytest.raises(UserError, match="empty, there is nothing to score"):
        compute_metrics([name], [], [])


@pytest.mark.parametrize("name", [entry.name for entry in METRICS if entry.facts["inputs"] in NOT_FINITE])
def test_what_is_not_finite_is_named_with_its_row(name):
    predictions, references = NOT_FINITE[METRICS[name].facts["inputs"]]
    with pytest.raises(UserError, match=r"predictions: expected .*, got (nan|inf) in row 1 \(1 such of \d\)"):
        compute_metrics([name], predictions, references)


@pytest.mark.parametrize("name", METRICS.names())
def test_more_predictions_than_references_are_an_error(name):
    predictions, references = PERFECT[METRICS[name].facts["inputs"]]
    with pytest.raises(UserError, match="predictions: "):
        compute_metrics([name], [*predictions, predictions[0]], references)


@pytest.mark.parametrize("name", [entry.name for entry in METRICS if "package" in entry.facts])
def test_a_missing_package_is_one_line(name, monkeypatch):
    facts = METRICS[name].facts
    for module in [known for known in sys.modules if known.split(".")[0] == facts["package"]]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, facts["package"], None)
    with pytest.raises(
        MissingPackageError, match=rf"{facts['package']}: pip install 'hf_strategies\[{facts['extra']}\]'"
    ):
        compute_metrics([name], ["a"], ["a"])


def test_the_tasks_of_the_facts_are_tasks_and_each_has_a_metric():
    tasks = {"text-classification", "token-classification", "image-classification", "clip-classification"}
    assert {task for entry in METRICS for task in entry.facts["tasks"]} == tasks | {"seq2seq", "causal-lm"}


EVALUATE = """
import json, sys, evaluate
path, examples = sys.argv[1], json.loads(sys.argv[2])
print(json.dumps({
    name: evaluate.load(path, name).compute(predictions=predictions, references=references, **settings)[name]
    for name, ((predictions, references), settings, _) in examples.items()
}))
try:
    evaluate.load(path)
except ValueError as error:
    print(error)
"""


def test_the_library_evaluate_loads_each_from_its_file_without_a_network(tmp_path):
    nowhere = {"HF_HUB_OFFLINE": "1", "HTTPS_PROXY": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", EVALUATE, EVALUATE_MODULE, json.dumps(BY_HAND)],
        env={**os.environ, **nowhere, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    computed, complaint = done.stdout.splitlines()
    assert json.loads(computed) == {name: pytest.approx(value) for name, (_, _, value) in BY_HAND.items()}
    assert "unknown metric 'default' (known: accuracy, bleu" in complaint
