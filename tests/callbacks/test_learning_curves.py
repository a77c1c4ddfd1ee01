"""Verdicts on curves that were made by hand, and on such that a seed has made noisy."""

import math
import random
from collections import Counter

import pytest

from hf_strategies.callbacks.learning_curves import (
    DIVERGING,
    FLAT,
    LEARNING,
    NOISY,
    OVERFITTING,
    UNDERFITTING,
    Curves,
    judge,
    noise,
    read_curves,
)


def curves(training, validation):
    return Curves([10 * (index + 1) for index in range(len(training))], list(training), list(validation))


FALLING = [0.9, 0.6, 0.4, 0.3, 0.2, 0.12]
SETTLED = [0.9, 0.6, 0.40, 0.401, 0.40, 0.40]
BY_HAND = [
    (FALLING, [1.0, 0.8, 0.7, 0.6, 0.55, 0.5], LEARNING, None),
    (FALLING, [1.0, 0.6, 0.5, 0.55, 0.65, 0.8], OVERFITTING, 30),
    ([0.5, 0.1, 0.01, 0.01, 0.01, 0.01], [1.0, 0.6, 0.5, 0.55, 0.65, 0.8], OVERFITTING, 30),  # learned by heart
    ([0.9, 0.5, 0.4, 0.6, 0.9, 1.4], [1.0, 0.6, 0.5, 0.7, 1.0, 1.5], DIVERGING, 30),
    (SETTLED, [1.0, 0.7, 0.5, 0.5, 0.501, 0.5], FLAT, None),
    (FALLING, [1.0, 0.6, 0.5, 0.5, 0.499, 0.5], FLAT, None),
    ([0.70, 0.695, 0.69, 0.69, 0.69, 0.69], [0.69, 0.69, 0.69, 0.69, 0.69, 0.69], UNDERFITTING, None),
    (FALLING, [0.5, 0.8, 0.5, 0.8, 0.5, 0.8], NOISY, None),
    (FALLING, [1.0, 0.8, 0.6, 0.5, 0.48, 0.52], LEARNING, None),  # one evaluation above the best is no trend
]


@pytest.mark.parametrize(("training", "validation", "kind", "since"), BY_HAND)
def test_curves_made_by_hand(training, validation, kind, since):
    verdict = judge(curves(training, validation))
    assert (verdict.kind, verdict.since) == (kind, since)


def test_the_sentences():
    said = {kind: judge(curves(training, validation)).said for training, validation, kind, _ in BY_HAND[::-1]}
    assert said[LEARNING] == "still learning: validation loss went from 0.65 to 0.525 over the last 4 evaluations"
    assert said[OVERFITTING] == (
        "overfitting since step 30: validation loss went from 0.5 to 0.725 while training loss went from 0.4 to 0.16"
    )
    assert said[DIVERGING] == (
        "getting worse since step 30: validation loss went from 0.5 to 1.25 and training loss went from 0.4 to 1.15; "
        "the learning rate may be too high"
    )
    assert said[FLAT] == (
        "flat: validation loss stays near 0.5 over the last 4 evaluations, and training loss has stopped falling"
    )
    assert said[UNDERFITTING] == (
        "underfitting: validation loss stays near 0.69, and training loss came from 0.7 only to 0.69; a higher rate "
        "or more weights may learn more"
    )
    assert said[NOISY] == "too noisy to tell: validation loss goes up and down by about 0.24 between evaluations"


@pytest.mark.parametrize(
    ("training", "validation", "kind", "since"),
    [
        ([0.9, 0.6, 0.4], [1.0, 0.8, 0.7], LEARNING, None),
        ([0.9, 0.6], [1.0, 0.8], LEARNING, None),
        ([0.9, 0.6, 0.4], [1.0, 0.6, 0.8], OVERFITTING, 20),
        ([0.9, 0.6], [0.6, 0.64], OVERFITTING, 10),  # by more than 5%
        ([0.9, 0.6], [0.6, 0.62], FLAT, None),  # by less
        ([0.9, 1.2], [0.6, 0.8], DIVERGING, 10),
        ([0.70, 0.69, 0.69], [0.69, 0.69, 0.69], FLAT, None),  # the first loss is an epoch's mean: much may be learned
        ([0.9, 0.6, 0.4], [0.5, 0.8, 0.5], NOISY, None),
    ],
)
def test_two_or_three_evaluations_are_judged_one_by_one(training, validation, kind, since):
    verdict = judge(curves(training, validation))
    assert (verdict.kind, verdict.since) == (kind, since)
    assert ("evaluations are few to tell it by" in verdict.said) == (since is not None)


def test_one_evaluation_says_nothing():
    assert judge(curves([1.0], [1.0])) is None


def test_noise_is_what_goes_up_and_down_besides_one_fall_and_one_rise():
    assert noise([5.0, 3.0, 2.0, 1.0]) == 0.0
    assert noise([5.0, 1.0, 2.0, 4.0]) == 0.0
    # From the first rise on: 1 up, 3 down to the lowest and 2 up would be 5 where 2 + 2 is enough; three steps.
    assert noise([9.0, 4.0, 5.0, 2.0, 4.0]) == pytest.approx((1 + 3 + 2 - (2 + 2)) / 3)


SHAPES = {
    LEARNING: (lambda x: 0.3 + 0.7 * math.exp(-4 * x), lambda x: 0.5 + 0.5 * math.exp(-2 * x)),
    FLAT: (lambda x: 0.4 + 0.5 * math.exp(-12 * x), lambda x: 0.5 + 0.5 * math.exp(-12 * x)),
    OVERFITTING: (lambda x: 0.05 + 0.7 * math.exp(-4 * x), lambda x: 0.5 + 2 * (x - 0.4) ** 2),
    UNDERFITTING: (lambda _: 0.7, lambda _: 0.69),
    DIVERGING: (lambda x: 0.5 + 2 * (x - 0.4) ** 2, lambda x: 0.5 + 2 * (x - 0.4) ** 2),
}


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("evaluations", [10, 30])
def test_one_percent_of_noise_changes_nine_verdicts_of_ten_at_most_by_chance(kind, evaluations):
    found = Counter(noisy_verdict(kind, evaluations, 0.01, seed) for seed in range(100))
    assert found[kind] >= 90


@pytest.mark.parametrize("kind", [LEARNING, FLAT, UNDERFITTING])
def test_much_noise_is_seldom_taken_for_overfitting(kind):
    found = Counter(noisy_verdict(kind, 20, 0.1, seed) for seed in range(100))
    assert found[OVERFITTING] + found[DIVERGING] <= 5
    assert found[NOISY] >= 60


def noisy_verdict(kind, evaluations, size, seed):
    draw = random.Random(seed)
    shares = [index / evaluations for index in range(evaluations)]
    sides = [[shape(x) * draw.gauss(1.0, size) for x in shares] for shape in SHAPES[kind]]
    return judge(curves(*sides)).kind


def test_training_losses_are_those_since_the_evaluation_before():
    history = [
        {"step": 0, "eval_loss": 5.0},  # before any training
        {"step": 1, "loss": 4.0},
        {"step": 2, "loss": 2.0},
        {"step": 2, "eval_loss": 3.5, "eval_runtime": 0.1},
        {"step": 3, "loss": math.nan},
        {"step": 4, "loss": 1.0},
        {"step": 4, "eval_loss": 3.0},
        {"step": 5, "eval_loss": 2.9},  # nothing was logged since
        {"step": 6, "loss": 0.5},
        {"step": 6, "eval_loss": math.inf},
        {"step": 8, "loss": 0.3},
        {"step": 8, "eval_loss": 2.5},
        {"step": 8, "train_loss": 9.0, "train_runtime": 1.0},
    ]
    assert read_curves(history) == Curves([2, 4, 8], [3.0, 1.0, 0.4], [3.5, 3.0, 2.5])
