"""Where synonyms come from, and which source serves a set of texts.

WordNet holds what people call synonyms, of English words. Neighbours among a checkpoint's embeddings and the fills of
a masked language model are words that stand in similar places, of any language: opposites may be among them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hf_strategies.augmentation.word_forms import meaning_of
from hf_strategies.errors import MissingPackageError, UserError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

MIN_COVERAGE = 0.1  # below, a source hardly changes the texts: the next one is asked


class Synonyms(Protocol):
    """From a word in lower case to what may stand for it; nothing for a word that is not known."""

    def __call__(self, word: str) -> Sequence[str]: ...


@dataclass(frozen=True)
class SynonymTable:
    """Synonyms that were looked up before; it can be sent to a worker."""

    table: Mapping[str, Sequence[str]]

    def __call__(self, word: str) -> Sequence[str]:
        return self.table.get(word, ())


class ChosenSynonyms(NamedTuple):
    """Synonyms, where they are from ("wordnet", "embeddings" or "masked_lm"), and why from there, in words."""

    synonyms: SynonymTable
    source: str
    reason: str


def choose_synonyms(
    texts: Sequence[str],
    *,
    source: str = "auto",
    tokenizer: Any = None,
    embeddings: Tensor | None = None,
    load_masked_lm: Callable[[], Any] | None = None,
) -> ChosenSynonyms:
    """Look up the words of `texts` in the first source that knows a tenth of them, and say which that is.

    Nothing is downloaded. Cost: seconds with WordNet and with embeddings; with a masked language model a forward pass
    for each occurrence that is looked at (`masked_lm_fills`).

    Args:
        texts: What will be augmented.
        source: "auto" tries "wordnet", "embeddings" and "masked_lm" in this order; or one of them.
        tokenizer: Of the checkpoint.
        embeddings: The checkpoint's table of input embeddings. `[vocabulary, hidden]`
        load_masked_lm: Loads the checkpoint with its masked-language-model head; asked only if it comes to that.

    Raises:
        UserError: There is no such source, or none serves; with the reason of each.
    """
    counts = Counter(meaning for text in texts for word in text.split() if (meaning := meaning_of(word)))
    look_up: dict[str, Callable[[], Mapping[str, Sequence[str]]]] = {
        "wordnet": lambda: wordnet_synonyms(counts),
        "embeddings": lambda: _embedding_neighbours(counts, tokenizer, embeddings),
        "masked_lm": lambda: _masked_lm_fills(texts, tokenizer, load_masked_lm),
    }
    if source != "auto" and source not in look_up:
        known = ["auto", *look_up]
        raise UserError(f"synonyms must be one of {', '.join(known)}, got {source!r}{did_you_mean(source, known)}")
    passed_over: list[str] = []
    for name in look_up if source == "auto" else [source]:
        try:
            table = look_up[name]()
        except UserError as error:
            passed_over.append(f"{name}: {error}")
            continue
        covered = sum(count for word, count in counts.items() if table.get(word)) / max(counts.total(), 1)
        reach = f"{name} has synonyms of {covered:.0%} of the words that carry a meaning"
        if covered >= MIN_COVERAGE:
            return ChosenSynonyms(SynonymTable(table), name, "; ".join([reach, *passed_over]))
        passed_over.append(reach)
    raise UserError(f"no source of synonyms serves these texts: {'; '.join(passed_over)}")


def wordnet_synonyms(words: Iterable[str]) -> dict[str, list[str]]:
    """Look words up in WordNet: what shares a sense with a word, or with what it is an inflection of.

    As EDA does, whatever the sense and the part of speech. English only.

    Raises:
        UserError: The package nltk or WordNet's data is not there; it is not downloaded.
    """
    try:
        from nltk.corpus import wordnet
    except ImportError as error:
        raise MissingPackageError("nltk", "text", "WordNet") from error
    try:
        wordnet.ensure_loaded()
    except (LookupError, OSError) as error:
        raise UserError(
            "nltk finds no data of WordNet: python -m nltk.downloader wordnet (or set NLTK_DATA)"
        ) from error
    table = {}
    for word in words:
        lemmas = {lemma.replace("_", " ") for sense in wordnet.synsets(word) for lemma in sense.lemma_names()}
        table[word] = sorted(lemma for lemma in lemmas if lemma.lower() != word)
    return table


def _embedding_neighbours(
    words: Iterable[str], tokenizer: Any, embeddings: Tensor | None
) -> Mapping[str, Sequence[str]]:
    if tokenizer is None or embeddings is None:
        raise UserError("no checkpoint is given")
    from hf_strategies.augmentation.embedding_neighbours import embedding_neighbours

    return embedding_neighbours(words, tokenizer, embeddings)


def _masked_lm_fills(
    texts: Sequence[str], tokenizer: Any, load: Callable[[], Any] | None
) -> Mapping[str, Sequence[str]]:
    if load is None or getattr(tokenizer, "mask_token", None) is None:
        raise UserError("the checkpoint is no masked language model")
    from hf_strategies.augmentation.masked_lm_fills import masked_lm_fills

    return masked_lm_fills(texts, load(), tokenizer)
