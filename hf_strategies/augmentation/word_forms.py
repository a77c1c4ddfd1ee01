"""What of a word between two spaces is the word itself, and which words carry a meaning of their own."""

import re

CORE = re.compile(r"\w(.*\w)?", re.DOTALL)

# English words that join others. Negations are among them: what is not replaced does not change sides.
JOINING = """
a about above after again against all almost along already also although always am among an and another any are as
at away back be became because been before being below between both but by came can cannot could did do does doing
done down during each either else even ever every few for from further get gets got had has have having he her
here hers herself him himself his how however i if in into is it its itself just let lot many may me might mine
more most much must my myself neither never no nor not nothing of off often on once one only or other others our
ours ourselves out over own per quite rather same shall she should since so some such than that the their theirs
them themselves then there these they this those though through thus till to too toward towards under unless until
up upon us very was we were what when where whether which while who whom whose why will with within without would
yet you your yours yourself yourselves
"""
STOP_WORDS = frozenset(JOINING.split())


def split_affixes(word: str) -> tuple[str, str, str]:
    """Return the punctuation before a word, the word itself (nothing where all is punctuation), and that after it."""
    found = CORE.search(word)
    return (word[: found.start()], found.group(), word[found.end() :]) if found else (word, "", "")


def meaning_of(word: str) -> str:
    """Return the word itself in lower case; nothing where it is a stop word or holds no letter."""
    core = split_affixes(word)[1].lower()
    return core if core not in STOP_WORDS and any(map(str.isalpha, core)) else ""


def with_core(word: str, core: str) -> str:
    """Put `core` in the place of the word itself, with its capitals and the punctuation around it."""
    before, old, after = split_affixes(word)
    if len(old) > 1 and old.isupper():
        core = core.upper()
    elif old[:1].isupper():
        core = core[:1].upper() + core[1:]
    return before + core + after
