import random

import numpy as np
import pytest
from sklearn import metrics

from hf_strategies.reports.confusion import Confusion, Mixup, confusion_lines, count_confusions, format_share

PETS = Confusion(("cat", "dog", "cow"), ((7, 3, 0), (1, 9, 0), (0, 0, 0)))


def test_what_is_counted_is_what_scikit_learn_counts():
    draw = np.random.default_rng(0)
    logits, true = draw.normal(size=(4, 30, 6)), draw.integers(0, 5, (4, 30))
    ignored = np.where(draw.random((4, 30)) < 0.2, -100, true)
    kept = ignored != -100
    expected = metrics.confusion_matrix(true[kept], logits.argmax(-1)[kept], labels=range(6))
    assert count_confusions(logits, ignored, "abcdef").counts == expected.tolist()


def test_the_scores_of_each_class_are_those_of_scikit_learn():
    draw = np.random.default_rng(1)
    predicted, true = draw.integers(0, 4, 200), draw.integers(0, 4, 200)
    confusion = count_confusions(predicted, true, "abcd")
    ours = list(zip(*(confusion.scores(number)[1:] for number in range(4)), strict=True))
    for mine, theirs in zip(ours, metrics.precision_recall_fscore_support(true, predicted), strict=True):
        assert mine == pytest.approx(tuple(theirs))


def test_what_cannot_be_said_of_a_class_is_not_said():
    assert PETS.scores(0) == ("cat", 7 / 8, 7 / 10, 2 * 7 / 18, 10)
    assert PETS.scores(2) == ("cow", None, None, None, 0)
    assert PETS.share(0, 1) == 0.3
    assert PETS.share(2, 1) == 0.0


def test_what_is_mixed_up_most_comes_first():
    assert PETS.mixups() == [Mixup("cat", "dog", 3, 0.3), Mixup("dog", "cat", 1, 0.1)]
    assert PETS.mixups(1) == [Mixup("cat", "dog", 3, 0.3)]


def test_of_many_classes_those_with_most_mistakes_are_shown_in_their_order():
    counts = [[100 * row if row == column else 0 for column in range(30)] for row in range(30)]
    pairs = random.Random(0).sample(range(30), 20)
    for row, column in zip(pairs[::2], pairs[1::2], strict=True):
        counts[row][column] = 5
    assert Confusion([str(number) for number in range(30)], counts).shown == sorted(pairs)
    assert PETS.shown == [0, 1, 2]


def test_few_classes_are_a_table_on_a_terminal():
    assert confusion_lines(PETS).splitlines() == [
        "true / predicted  cat  dog  cow",
        "----------------  ---  ---  ---",
        "cat                 7    3    0",
        "dog                 1    9    0",
        "cow                 0    0    0",
    ]


@pytest.mark.parametrize(("classes", "length"), [(11, 1), (9, 20)])
def test_many_classes_or_long_names_are_the_worst_confusions(classes, length):
    counts = [[40 if row == column else 0 for column in range(classes)] for row in range(classes)]
    counts[1][0], counts[2][0] = 1, 1000
    names = [chr(97 + number) * length for number in range(classes)]
    assert confusion_lines(Confusion(names, counts)).splitlines() == [
        f"'{'c' * length}' is taken for '{'a' * length}' 1,000 times (96% of '{'c' * length}')",
        f"'{'b' * length}' is taken for '{'a' * length}' once (2.4% of '{'b' * length}')",
    ]


def test_a_share_is_neither_rounded_to_all_nor_to_nothing():
    shares = (0, 0.0004, 0.041, 0.63, 0.994, 0.9999, 1)
    assert [format_share(share) for share in shares] == ["0%", "<0.1%", "4.1%", "63%", "99%", ">99%", "100%"]
