import math

import pytest

from hf_strategies.errors import UserError
from hf_strategies.tasks.labels import MULTI, REGRESSION, SINGLE, Labels, find_labels, name_of, problem_of, unseen


def test_classes_are_in_the_order_of_their_values_numbers_before_words():
    assert find_labels(["10", "9", "b"], ["a"]) == Labels(SINGLE, ("9", "10", "a", "b"))
    assert find_labels([1, 0, 1], [2]).names == ("0", "1", "2")
    assert find_labels([True, False], [True]).names == ("False", "True")


def test_one_class_has_one_name_however_it_is_written():
    assert {name_of(1), name_of("1"), name_of(1.0), name_of(" 1 "), name_of("1.0"), name_of("1.")} == {"1"}
    assert find_labels(["1.0", "0.0"], ["1", 0]) == Labels(SINGLE, ("0", "1"))  # a table's column with a gap in it
    assert [name_of(text) for text in ("01", "3.10", "-2.0", "v1.0", "1.0.0")] == ["01", "3.10", "-2", "v1.0", "1.0.0"]


def test_a_checkpoints_own_classes_keep_their_numbers():
    assert find_labels(["pos", "neg"], ["neg"], known=("pos", "neg")).names == ("pos", "neg")
    assert find_labels(["pos", "neg"], ["neg"], known=("pos", "neg", "other")).names == ("neg", "pos")


def test_lists_are_several_labels_and_fractions_a_regression():
    several = find_labels([["a", "b"], []], [["c"]])
    assert several == Labels(MULTI, ("a", "b", "c"))
    assert several.encode(["c", "a"]) == [1.0, 0.0, 1.0]
    assert find_labels([0.5, 1.0], [2.0]).kind == REGRESSION
    assert find_labels([0.5, 1.0], [2.0]).encode("1.5") == 1.5
    assert find_labels(["1", 5], [3], regression=True).kind == REGRESSION  # ratings
    with pytest.raises(UserError, match="a regression needs numbers alone, got 'good' among them"):
        find_labels([1, 2, "good"], [3], regression=True)


def test_numbers_with_a_fraction_make_no_classes_of_what_stands_among_them():
    values = ["0.5", "1.25", "2", "nan", "0.75"]  # as a table without types holds them
    with pytest.raises(UserError, match="a regression needs numbers alone, got 'nan' among them"):
        find_labels(values, [])
    assert find_labels(["3.5", "other", "4", "none"], []).kind == SINGLE


def test_a_head_is_described_as_the_host_wants_it():
    config = find_labels(["yes", "no"], []).config
    assert config["problem_type"] == "single_label_classification"
    assert config["num_labels"] == 2
    assert config["id2label"] == {0: "no", 1: "yes"}
    assert config["label2id"] == {"no": 0, "yes": 1}


@pytest.mark.parametrize(
    ("train", "validation", "said"),
    [
        (["a", "a"], ["a"], "expected two or more to learn from, got only 'a': nothing"),
        (["a"], ["b"], r"got only 'a' \(b in the validation rows alone\): nothing"),
        ([["a"], "b"], [], "some rows have a list of labels, others a single one"),
        ([["a"], ["b"]], ["b"], "some rows have a list of labels, others a single one"),
        ([0.5, "high"], [], "a regression needs numbers alone, got 'high' among them"),
    ],
)
def test_labels_of_which_nothing_can_be_learned_are_refused(train, validation, said):
    with pytest.raises(UserError, match=said):
        find_labels(train, validation)


@pytest.mark.parametrize("label", [None, "", "  ", math.nan, math.inf, {"a": 1}, ["a", ""]])
def test_what_is_no_label_is_said_of_its_row(label):
    assert problem_of(label)


@pytest.mark.parametrize("label", ["a", 0, 1.5, True, ["a", "b"], []])
def test_what_is_a_label_is_none(label):
    assert problem_of(label) == ""


def test_classes_of_the_validation_side_alone_are_named():
    assert unseen(["a", "b"], ["a", "b"]) == ""
    assert unseen([["a"]], [["a", "c"], ["c"]]).startswith("labels 'c' (2 rows) are in the validation rows alone")
