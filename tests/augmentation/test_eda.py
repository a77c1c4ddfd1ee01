import math
from collections import Counter

import numpy as np
import pytest

from hf_strategies.augmentation.eda import (
    PUNCTUATION,
    aeda,
    eda,
    random_deletion,
    random_insertion,
    random_swap,
    synonym_replacement,
)
from hf_strategies.augmentation.synonyms import SynonymTable

NUMBERED = [f"word{number}" for number in range(12)]
SYNONYMS = SynonymTable({"film": ["movie"], "good": ["fine"], **{word: [f"other{word}"] for word in NUMBERED}})


def draws(count: int):
    return [np.random.default_rng(seed) for seed in range(count)]


def assert_binomial(hits: int, trials: int, chance: float) -> None:
    assert abs(hits - trials * chance) < 5 * math.sqrt(trials * chance * (1 - chance))  # five standard deviations


def test_a_synonym_takes_the_capitals_and_the_punctuation_of_its_word():
    words = ["The", "Film,", "was", '"GOOD"!']
    results = {tuple(synonym_replacement(words, draw, synonyms=SYNONYMS, rate=0.5)) for draw in draws(5)}
    assert results == {("The", "Movie,", "was", '"FINE"!')}


def test_only_words_that_carry_a_meaning_are_replaced():
    everything = SynonymTable({word: ["other"] for word in ("", "not", "the", "film", "1990", "...")})
    words = ["not", "the", "film", "1990", "..."]
    for draw in draws(20):
        assert synonym_replacement(words, draw, synonyms=everything, rate=1.0) == [
            "not",
            "the",
            "other",
            "1990",
            "...",
        ]


@pytest.mark.parametrize(
    ("length", "rate", "count"),
    [(12, 0.25, 3), (12, 0.3, 3), (12, 0.05, 1), (100, 0.29, 29)],  # 0.29 * 100 is 28.999999999999996
)
def test_as_many_words_are_replaced_as_the_paper_says(length, rate, count):
    words = [f"word{number}" for number in range(length)]
    synonyms = SynonymTable({word: ["other"] for word in words})
    for draw in draws(5):
        assert synonym_replacement(words, draw, synonyms=synonyms, rate=rate).count("other") == count


def test_every_synonym_is_as_likely():
    synonyms = SynonymTable({"film": ["movie", "picture", "motion picture"]})
    found = Counter(synonym_replacement(["film"], draw, synonyms=synonyms)[0] for draw in draws(900))
    assert set(found) == {"movie", "picture", "motion picture"}
    for count in found.values():
        assert_binomial(count, 900, 1 / 3)


def test_insertions_leave_the_words_in_their_order():
    for draw in draws(50):
        grown = random_insertion(NUMBERED, draw, synonyms=SYNONYMS, rate=0.25)
        assert [word for word in grown if word in NUMBERED] == NUMBERED
        assert len([word for word in grown if word.startswith("otherword")]) == len(grown) - 12 == 3


def test_an_insertion_may_stand_anywhere():
    places = Counter(random_insertion(["the", "film"], draw, synonyms=SYNONYMS).index("movie") for draw in draws(900))
    assert set(places) == {0, 1, 2}
    for count in places.values():
        assert_binomial(count, 900, 1 / 3)


def test_one_swap_exchanges_two_words():
    for draw in draws(50):
        swapped = random_swap(NUMBERED, draw, rate=0.1)
        moved = [place for place in range(12) if swapped[place] != NUMBERED[place]]
        assert len(moved) == 2
        assert [swapped[place] for place in moved] == [NUMBERED[place] for place in reversed(moved)]


def test_words_are_deleted_at_the_rate():
    kept = [random_deletion(NUMBERED, draw, rate=0.2) for draw in draws(500)]
    assert_binomial(sum(12 - len(words) for words in kept), 12 * 500, 0.2)
    assert all(words == [word for word in NUMBERED if word in words] for words in kept)


def test_a_deletion_leaves_one_word_and_each_is_as_likely():
    left = [random_deletion(["a", "b"], draw, rate=1.0) for draw in draws(400)]
    assert {len(words) for words in left} == {1}
    assert_binomial(left.count(["a"]), 400, 0.5)


def test_eda_applies_one_of_its_four_operations_each_as_likely():
    kinds = Counter()
    for draw in draws(800):
        changed = eda(NUMBERED, draw, synonyms=SYNONYMS, rate=0.1)
        if len(changed) > 12:
            kinds["insertion"] += 1
        elif set(changed) - set(NUMBERED):
            kinds["replacement"] += 1
        elif len(changed) == 12 and changed != NUMBERED:
            kinds["swap"] += 1
        else:
            kinds["deletion"] += 1  # also one that found nothing to delete
    for kind in ("insertion", "replacement", "swap", "deletion"):
        assert_binomial(kinds[kind], 800, 1 / 4)


def test_aeda_inserts_one_mark_to_a_third_of_the_words_each_number_as_likely():
    counts = Counter()
    for draw in draws(800):
        grown = aeda(NUMBERED, draw)
        assert [word for word in grown if word not in PUNCTUATION] == NUMBERED
        counts[len(grown) - 12] += 1
    assert set(counts) == {1, 2, 3, 4}
    for count in counts.values():
        assert_binomial(count, 800, 1 / 4)


def test_aeda_draws_each_of_the_papers_marks_and_each_place_as_often():
    marks, places = Counter(), Counter()
    for draw in draws(1200):
        grown = aeda(["a", "b"], draw)
        (mark,) = [word for word in grown if word in PUNCTUATION]
        marks[mark] += 1
        places[grown.index(mark)] += 1
    assert set(marks) == {".", ";", "?", ":", "!", ","}
    for count in marks.values():
        assert_binomial(count, 1200, 1 / 6)
    for count in places.values():
        assert_binomial(count, 1200, 1 / 3)
