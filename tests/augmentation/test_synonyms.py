from pathlib import Path

import pytest
import torch

from hf_strategies.augmentation.synonyms import choose_synonyms, wordnet_synonyms
from hf_strategies.errors import UserError

nltk = pytest.importorskip("nltk", reason="WordNet is read through nltk")
FILES = [
    "lexnames",
    "index.sense",
    *(f"{kind}.{part}" for kind in ("index", "data") for part in ("adj", "adv", "verb")),
]
EXCEPTIONS = [f"{part}.exc" for part in ("adj", "adv", "noun", "verb")]
SENSES = [["film", "movie", "motion_picture"], ["film", "Thin_layer"], ["story", "tale"]]


@pytest.fixture
def nltk_data(monkeypatch, tmp_path):
    """An empty folder, and the only one where nltk looks for data."""
    from nltk.corpus import wordnet

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    yield tmp_path
    if hasattr(type(wordnet), "synsets"):  # loaded by the test: the next one looks for itself
        wordnet._unload()


def write_wordnet(folder: Path) -> None:
    """Write a WordNet of three senses, in the format of its database files (wndb(5WN))."""
    folder.mkdir(parents=True)
    for name in [*FILES, *EXCEPTIONS]:
        (folder / name).write_text("")
    (folder / "lexnames").write_text("00\tnoun.all\t3\n")
    lines, offsets = "", {}
    for lemmas in SENSES:
        offset = len(lines)
        words = " ".join(f"{lemma} 0" for lemma in lemmas)
        lines += f"{offset:08d} 00 n {len(lemmas):02x} {words} 000 | a sense\n"
        for lemma in lemmas:
            offsets.setdefault(lemma.lower(), []).append(f"{offset:08d}")
    (folder / "data.noun").write_text(lines)
    index = [f"{lemma} n {len(at)} 0 {len(at)} 0 {' '.join(at)}\n" for lemma, at in sorted(offsets.items())]
    (folder / "index.noun").write_text("".join(index))


def test_wordnet_gives_what_shares_a_sense_with_a_word_or_its_singular(nltk_data):
    write_wordnet(nltk_data / "corpora" / "wordnet")
    assert wordnet_synonyms(["film", "films", "tale", "unheard"]) == {
        "film": ["Thin layer", "motion picture", "movie"],
        "films": ["Thin layer", "film", "motion picture", "movie"],
        "tale": ["story"],
        "unheard": [],
    }


def test_wordnet_is_never_downloaded(nltk_data):
    with pytest.raises(UserError, match=r"nltk finds no data of WordNet: python -m nltk\.downloader wordnet"):
        wordnet_synonyms(["film"])
    assert list(nltk_data.iterdir()) == []


def checkpoint(word_tokenizer, words: list[str]) -> dict:
    """A tokenizer, and embeddings in which each word is near the one after it, among some that are near none."""
    tokenizer = word_tokenizer([*words, *(f"alone{letter}" for letter in "abcdefgh")])
    embeddings = torch.eye(len(tokenizer), 500)
    first = tokenizer.convert_tokens_to_ids(words[0])
    for place in range(first, first + len(words), 2):
        embeddings[place + 1] = embeddings[place]
    return {"tokenizer": tokenizer, "embeddings": embeddings}


def test_wordnet_comes_first(nltk_data, word_tokenizer):
    write_wordnet(nltk_data / "corpora" / "wordnet")
    chosen = choose_synonyms(["The film!", "a story"], **checkpoint(word_tokenizer, ["film", "cinema"]))
    assert chosen.source == "wordnet"
    assert chosen.reason == "wordnet has synonyms of 100% of the words that carry a meaning"
    assert chosen.synonyms("story") == ["tale"]
    assert chosen.synonyms("unheard") == ()


def test_without_wordnet_the_checkpoint_is_asked_and_it_is_said_why(nltk_data, word_tokenizer):
    words = ["film", "cinema", "plot", "actor"]
    chosen = choose_synonyms(["the film of the film story"], **checkpoint(word_tokenizer, words))
    assert chosen.source == "embeddings"
    assert chosen.reason.startswith(
        "embeddings has synonyms of 67% of the words that carry a meaning; wordnet: nltk finds no data of WordNet"
    )
    assert chosen.synonyms("film") == ["cinema"]


def test_a_source_that_knows_few_of_the_words_is_passed_over(nltk_data, word_tokenizer):
    write_wordnet(nltk_data / "corpora" / "wordnet")
    texts = ["film", *(f"cinema {number}th" for number in range(10))]  # 1 word of 21, then 11
    chosen = choose_synonyms(texts, **checkpoint(word_tokenizer, ["film", "cinema"]))
    assert chosen.source == "embeddings"
    assert chosen.reason.endswith("; wordnet has synonyms of 5% of the words that carry a meaning")


def test_a_source_can_be_asked_for(nltk_data, word_tokenizer):
    write_wordnet(nltk_data / "corpora" / "wordnet")
    chosen = choose_synonyms(["film"], source="embeddings", **checkpoint(word_tokenizer, ["film", "cinema"]))
    assert chosen.source == "embeddings"
    with pytest.raises(UserError, match=r"no source of synonyms serves these texts: wordnet has synonyms of 0% of"):
        choose_synonyms(["cinema"], source="wordnet", **checkpoint(word_tokenizer, ["film", "cinema"]))


def test_a_masked_language_model_is_loaded_only_when_nothing_else_serves(nltk_data, word_tokenizer):
    texts = ["the film", "a story"]
    nothing_near = {"tokenizer": word_tokenizer(["film", "story"]), "embeddings": torch.eye(6, 500)}
    loads = []

    def load():
        loads.append("masked_lm")
        raise UserError("no such checkpoint")

    choose_synonyms(texts, **checkpoint(word_tokenizer, ["film", "cinema"]), load_masked_lm=load)
    assert loads == []
    with pytest.raises(UserError, match="masked_lm: no such checkpoint"):
        choose_synonyms(texts, **nothing_near, load_masked_lm=load)
    assert loads == ["masked_lm"]


def test_where_nothing_serves_each_source_says_why(nltk_data):
    with pytest.raises(UserError) as caught:
        choose_synonyms(["a film"])
    assert str(caught.value) == (
        "no source of synonyms serves these texts: wordnet: nltk finds no data of WordNet: python -m nltk.downloader "
        "wordnet (or set NLTK_DATA); embeddings: no checkpoint is given; masked_lm: the checkpoint is no masked "
        "language model"
    )


def test_an_unknown_source_is_answered_with_the_nearest():
    with pytest.raises(
        UserError, match="must be one of auto, wordnet, embeddings, masked_lm, got 'word_net', did you"
    ):
        choose_synonyms(["a film"], source="word_net")
