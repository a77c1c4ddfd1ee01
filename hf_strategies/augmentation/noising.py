"""Noise on words: misspellings inside of them, and words hidden by what a tokenizer reads as a missing word."""

from collections.abc import Callable, Sequence

from numpy.random import Generator

from hf_strategies.augmentation.word_forms import split_affixes

SHORTEST_MISSPELT = 4  # letters; a change inside of a shorter word makes another word of it


def character_noise(words: Sequence[str], generator: Generator, *, rate: float = 0.1) -> list[str]:
    """Misspell words: two letters swapped, one dropped, doubled or replaced, never the first or the last.

    Natural and synthetic noise: https://arxiv.org/abs/1711.02173; misspellings inside of words of four
    letters and more: https://arxiv.org/abs/1905.11268.

    Args:
        words: At least one.
        generator: Who draws.
        rate: Chance that a word is misspelt, if it has four letters and more; once at most. A letter is replaced by
            one that the text uses, whatever its script.
    """
    noisy = list(words)
    alphabet = sorted({letter for word in words for letter in word.lower() if letter.isalpha()})
    for place, draw in enumerate(generator.random(len(words))):
        before, core, after = split_affixes(words[place])
        inside = [letter for letter in range(1, len(core) - 1) if core[letter].isalpha()]
        if draw < rate and inside and len(core) >= SHORTEST_MISSPELT:
            noisy[place] = before + _misspell(core, inside, generator, alphabet) + after
    return noisy


def token_dropout(words: Sequence[str], generator: Generator, *, mask_token: str, rate: float = 0.1) -> list[str]:
    """Hide each word behind `mask_token` with probability `rate`; where all would be hidden, one of them stays.

    "Blank noising": https://arxiv.org/abs/1703.02573.
    """
    hidden = generator.random(len(words)) < rate
    if hidden.all():
        hidden[int(generator.integers(len(words)))] = False
    return [mask_token if gone else word for word, gone in zip(words, hidden)]


def span_masking(
    words: Sequence[str],
    generator: Generator,
    *,
    mask_token: str,
    rate: float = 0.15,
    lengths: str = "geometric",
    mean_length: float = 3.0,
) -> list[str]:
    """Hide runs of words, each behind one `mask_token`.

    BART's text infilling with "poisson": https://arxiv.org/abs/1910.13461 (section 2.2), where a run of no words puts
    a mask between two; SpanBERT's lengths with "geometric": https://arxiv.org/abs/1907.10529 (section 3.1).

    Args:
        words: At least one.
        generator: Who draws.
        mask_token: What the tokenizer reads as missing words.
        rate: Share of the words that are hidden, on average; one word stays whatever it is.
        lengths: Distribution of the runs' lengths, "geometric" or "poisson".
        mean_length: Its mean, in words, at least 1.
    """
    wanted = rate * len(words)
    hidden = min(int(wanted) + int(generator.random() < wanted % 1), len(words) - 1)
    spans: list[int] = []
    while (left := hidden - sum(spans)) > 0:
        drawn = generator.geometric(1 / mean_length) if lengths == "geometric" else generator.poisson(mean_length)
        spans.append(min(int(drawn), left))
    slots = len(words) - hidden + len(spans)  # the words that stay, and the runs among them
    spans_at = dict(zip(generator.choice(slots, size=len(spans), replace=False).tolist(), spans))
    masked: list[str] = []
    place = 0
    for slot in range(slots):
        masked.append(mask_token if slot in spans_at else words[place])
        place += spans_at.get(slot, 1)
    return masked


def _misspell(core: str, inside: Sequence[int], generator: Generator, alphabet: Sequence[str]) -> str:
    """Draw kinds, places and letters until the word is another; doubling a letter always makes one."""
    drawn = (
        MISSPELLINGS[kind](core, place, alphabet[int(generator.integers(len(alphabet)))])
        for kind in generator.permutation(len(MISSPELLINGS)).tolist()
        for place in generator.permutation(inside).tolist()
    )
    return next(misspelt for misspelt in drawn if misspelt != core)


def _swap(core: str, place: int, _: str) -> str:
    if place == len(core) - 2 or not core[place + 1].isalpha():
        return core
    return core[:place] + core[place + 1] + core[place] + core[place + 2 :]


def _drop(core: str, place: int, _: str) -> str:
    return core[:place] + core[place + 1 :]


def _double(core: str, place: int, _: str) -> str:
    return core[:place] + core[place] + core[place:]


def _replace(core: str, place: int, letter: str) -> str:
    return core[:place] + letter + core[place + 1 :]


MISSPELLINGS: tuple[Callable[[str, int, str], str], ...] = (_swap, _drop, _double, _replace)
