"""The word that stands for each class in an answer."""

from collections import Counter
from collections.abc import Mapping, Sequence

from hf_strategies.errors import UserError, did_you_mean


def choose_words(names: Sequence[str], given: Mapping[str, str] | None) -> list[str]:
    """Return the word of each class: what its user says, else its name.

    Args:
        names: Of the classes.
        given: Words by class; None takes the names. Spaces around a word do not belong to it.

    Raises:
        UserError: Words are for other classes; a class is unknown or left out, a word is empty, or two classes have
            the same one. One line each.
    """
    if given is None:
        return list(names)
    known = ", ".join(names)
    if not set(given) & set(names):
        raise UserError(f"label_words: are for the classes {', '.join(given)}, and the rows have {known}")
    problems = [
        f"label_words: there is no class {name!r}{did_you_mean(name, names)} (classes: {known})"
        for name in given
        if name not in names
    ]
    problems += [f"label_words: class {name!r} has no word (classes: {known})" for name in names if name not in given]
    words = {name: given[name].strip() for name in names if name in given}
    problems += [f"label_words: the word of class {name!r} is empty" for name, word in words.items() if not word]
    shared = [word for word, times in Counter(words.values()).items() if word and times > 1]
    problems += [
        f"label_words: {word!r} stands for {', '.join(name for name in words if words[name] == word)}; each "
        "class needs a word of its own"
        for word in shared
    ]
    if problems:
        raise UserError("\n".join(problems))
    return list(words.values())
