"""Easy data augmentation: words replaced, put in, exchanged and left out; punctuation put in.

EDA: https://arxiv.org/abs/1901.11196 (section 2; `rate` is its alpha, of which table 3 recommends 0.05 for up to 2,000
examples and 0.1 for more). AEDA: https://arxiv.org/abs/2108.13230.
"""

from collections.abc import Sequence
from functools import partial

from numpy.random import Generator

from hf_strategies.augmentation.synonyms import Synonyms
from hf_strategies.augmentation.word_forms import meaning_of, with_core

PUNCTUATION = (".", ";", "?", ":", "!", ",")


def synonym_replacement(
    words: Sequence[str], generator: Generator, *, synonyms: Synonyms, rate: float = 0.1
) -> list[str]:
    """Replace a share of the words by synonyms, with their capitals and punctuation.

    Args:
        words: At least one.
        generator: Who draws.
        synonyms: From a word in lower case to what may stand for it; a synonym may be several words.
        rate: Share of all words that are replaced, rounded down, and at least one word; only words that carry a
            meaning and have synonyms can be.
    """
    replaced = list(words)
    for position, synonym in _draw_synonyms(words, generator, synonyms, rate):
        replaced[position] = with_core(words[position], synonym)
    return replaced


def random_insertion(
    words: Sequence[str], generator: Generator, *, synonyms: Synonyms, rate: float = 0.1
) -> list[str]:
    """Put synonyms of a share of the words anywhere; the arguments are those of `synonym_replacement`."""
    grown = list(words)
    for _, synonym in _draw_synonyms(words, generator, synonyms, rate):
        grown.insert(int(generator.integers(len(grown) + 1)), synonym)
    return grown


def random_swap(words: Sequence[str], generator: Generator, *, rate: float = 0.1) -> list[str]:
    """Exchange two words, as often as a share of all words, rounded down, and at least once; a single word stays."""
    swapped = list(words)
    for _ in range(_share(words, rate) if len(words) > 1 else 0):
        one, other = map(int, generator.choice(len(words), size=2, replace=False))
        swapped[one], swapped[other] = swapped[other], swapped[one]
    return swapped


def random_deletion(words: Sequence[str], generator: Generator, *, rate: float = 0.1) -> list[str]:
    """Leave each word out with probability `rate`; where none would be left, one of them stays."""
    kept = [word for word, draw in zip(words, generator.random(len(words))) if draw >= rate]
    return kept or [words[int(generator.integers(len(words)))]]


def eda(words: Sequence[str], generator: Generator, *, synonyms: Synonyms, rate: float = 0.1) -> list[str]:
    """Apply one of the four operations above, each as likely; the arguments are those of `synonym_replacement`.

    The paper applies one operation to each augmented sentence, and trains on some of them beside the sentence itself:
    here that is a `probability` below 1.
    """
    operations = (
        partial(synonym_replacement, synonyms=synonyms),
        partial(random_insertion, synonyms=synonyms),
        random_swap,
        random_deletion,
    )
    return operations[int(generator.integers(len(operations)))](words, generator, rate=rate)


def aeda(words: Sequence[str], generator: Generator, *, rate: float = 1 / 3) -> list[str]:
    """Put punctuation marks, as words of their own, between the words.

    Args:
        words: At least one.
        generator: Who draws.
        rate: The number of marks is drawn uniformly from 1 to this share of the words, rounded down (the paper's: a
            third). No two marks stand at one place.
    """
    count = int(generator.integers(1, _share(words, rate) + 1))
    places = set(generator.choice(len(words) + 1, size=count, replace=False).tolist())
    grown: list[str] = []
    for place in range(len(words) + 1):
        if place in places:
            grown.append(PUNCTUATION[int(generator.integers(len(PUNCTUATION)))])
        grown += words[place : place + 1]
    return grown


def _share(words: Sequence[str], rate: float) -> int:
    return max(1, int(rate * len(words) + 1e-9))  # 0.29 * 100 is 29 here, as it is on paper


def _draw_synonyms(
    words: Sequence[str], generator: Generator, synonyms: Synonyms, rate: float
) -> list[tuple[int, str]]:
    """Draw different words that have synonyms, and one synonym of each."""
    drawn: list[tuple[int, str]] = []
    for place in generator.permutation(len(words)).tolist():
        meaning = meaning_of(words[place])
        if meaning and (choices := synonyms(meaning)):
            drawn.append((place, choices[int(generator.integers(len(choices)))]))
        if len(drawn) == _share(words, rate):
            break
    return drawn
