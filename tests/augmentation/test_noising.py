import math
from collections import Counter
from itertools import chain

import numpy as np
import pytest

from hf_strategies.augmentation.noising import character_noise, span_masking, token_dropout

WORDS = [f"w{number}" for number in range(10)]
MASK = "[MASK]"


def draws(count: int):
    return [np.random.default_rng(seed) for seed in range(count)]


def assert_binomial(hits: int, trials: int, chance: float) -> None:
    assert abs(hits - trials * chance) < 5 * math.sqrt(trials * chance * (1 - chance))  # five standard deviations


def kind_of(word: str, misspelt: str) -> str:
    if len(misspelt) < len(word):
        return "dropped"
    if len(misspelt) > len(word):
        return "doubled"
    return "swapped" if sorted(misspelt) == sorted(word) else "replaced"


def test_each_kind_of_misspelling_is_as_likely_and_the_ends_of_a_word_stay():
    kinds = Counter()
    for draw in draws(800):
        (misspelt,) = character_noise(["(triangle)."], draw, rate=1.0)
        assert misspelt.startswith("(t")
        assert misspelt.endswith("e).")
        kinds[kind_of("(triangle).", misspelt)] += 1
    for kind in ("swapped", "dropped", "doubled", "replaced"):
        assert_binomial(kinds[kind], 800, 1 / 4)


def test_a_doubled_letter_stands_beside_itself_and_swapped_ones_are_neighbours():
    for draw in draws(100):
        (misspelt,) = character_noise(["planet"], draw, rate=1.0)
        if kind_of("planet", misspelt) == "doubled":
            assert misspelt in {"pllanet", "plaanet", "plannet", "planeet"}
        if kind_of("planet", misspelt) == "swapped":
            assert misspelt in {"palnet", "plnaet", "plaent"}


def test_words_are_misspelt_at_the_rate_each_once():
    noisy = [character_noise(["picture"] * 20, draw, rate=0.15) for draw in draws(200)]
    assert_binomial(sum(word != "picture" for word in chain(*noisy)), 20 * 200, 0.15)
    assert max(abs(len(word) - len("picture")) for word in chain(*noisy)) == 1


def test_short_words_numbers_and_punctuation_stay():
    words = ["not", "a", "1990", "...", "U.S."]
    assert all(character_noise(words, draw, rate=1.0)[:4] == words[:4] for draw in draws(50))


def test_a_word_in_which_most_misspellings_change_nothing_is_still_misspelt():
    assert {character_noise(["oooo"], draw, rate=1.0)[0] for draw in draws(50)} == {"ooo", "ooooo"}


def test_letters_come_from_the_texts_own_script():
    letters = set(chain(*(character_noise(["привет"], draw, rate=1.0)[0] for draw in draws(100))))
    assert letters == set("привет")


def test_words_are_hidden_at_the_rate():
    hidden = [token_dropout(WORDS, draw, mask_token=MASK, rate=0.2) for draw in draws(500)]
    assert_binomial(sum(words.count(MASK) for words in hidden), 10 * 500, 0.2)
    assert all(word in (MASK, WORDS[place]) for words in hidden for place, word in enumerate(words))


def test_one_word_is_never_hidden():
    shown = [
        [word for word in token_dropout(["a", "b"], draw, mask_token=MASK, rate=1.0) if word != MASK]
        for draw in draws(400)
    ]
    assert {len(words) for words in shown} == {1}
    assert_binomial(shown.count(["a"]), 400, 0.5)


@pytest.mark.parametrize("lengths", ["geometric", "poisson"])
def test_spans_hide_the_rate_of_the_words_on_average(lengths):
    hidden = Counter()
    for draw in draws(400):
        masked = span_masking(WORDS, draw, mask_token=MASK, rate=0.25, lengths=lengths)
        shown = [word for word in masked if word != MASK]
        assert shown == [word for word in WORDS if word in shown]
        hidden[10 - len(shown)] += 1
    assert set(hidden) == {2, 3}  # 2.5 of ten words
    assert_binomial(hidden[2], 400, 0.5)


@pytest.mark.parametrize(("lengths", "variance"), [("geometric", 6.0), ("poisson", 3.0)])
def test_spans_have_their_mean_length(lengths, variance):
    words = [f"w{number}" for number in range(1000)]
    counts = [span_masking(words, draw, mask_token=MASK, rate=0.3, lengths=lengths).count(MASK) for draw in draws(100)]
    # Runs of mean 3 until 300 words are hidden, as renewal theory counts them: 300/3 + (variance + 9)/18 on average,
    # with a variance of 300 variance/27; the last run may be cut.
    expected = 100 + (variance + 9) / 18
    assert abs(np.mean(counts) - expected) < 5 * math.sqrt(300 * variance / 27 / 100) + 0.5


def test_runs_of_no_words_are_bart_s_alone():
    def surplus(lengths: str) -> list[int]:
        masked = [
            span_masking(WORDS, draw, mask_token=MASK, rate=0.3, lengths=lengths, mean_length=1.0)
            for draw in draws(100)
        ]
        return [words.count(MASK) - (10 - len([word for word in words if word != MASK])) for words in masked]

    assert set(surplus("geometric")) == {0}  # of mean 1: each run is one word
    assert max(surplus("poisson")) > 0


def test_spans_may_stand_anywhere():
    places = Counter(
        span_masking(["a", "b", "c", "d"], draw, mask_token=MASK, rate=0.25).index(MASK) for draw in draws(400)
    )
    for place in range(4):
        assert_binomial(places[place], 400, 1 / 4)


def test_some_word_is_always_shown():
    assert all(
        len([word for word in span_masking(WORDS, draw, mask_token=MASK, rate=1.0) if word != MASK]) == 1
        for draw in draws(50)
    )
