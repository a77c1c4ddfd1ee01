"""What every augmentation of texts on the shelf promises."""

import inspect
import json
import subprocess
import sys

import pytest

from hf_strategies.augmentation.shelf import TEXT_AUGMENTATIONS
from hf_strategies.augmentation.synonyms import SynonymTable
from hf_strategies.augmentation.text import augment_words, parse_text_spec, supply

TEXT = "The first film of this quite unknown director deserves a much wider audience"
WORDS = TEXT.split()
SUPPLIES = {
    "synonyms": SynonymTable({"film": ["movie"], "director": ["film maker"], "ok": ["fine"]}),
    "mask_token": "[MASK]",
    "paraphrases": {TEXT: ["More people should see this debut"], "ok": ["fine"]},
}


def augmented(name: str, words: list[str], **settings: float) -> list[list[str]]:
    spec = supply(parse_text_spec([{"name": name, **settings}]), **SUPPLIES)
    return [augment_words(words, spec, seed=0, epoch=epoch, example=0) for epoch in range(20)]


def highest_rate(name: str) -> dict[str, float]:
    return {"rate": 1.0} if "rate" in TEXT_AUGMENTATIONS[name].facts["hyperparameters"] else {}


def test_the_shelf_is_whole():
    assert set(TEXT_AUGMENTATIONS.names()) == {
        "synonym_replacement", "random_insertion", "random_swap", "random_deletion", "eda", "aeda", "character_noise",
        "token_dropout", "span_masking", "back_translation",
    }  # fmt: skip


@pytest.mark.parametrize("name", TEXT_AUGMENTATIONS.names())
def test_what_may_be_set_and_what_must_be_supplied_is_what_it_takes(name):
    entry = TEXT_AUGMENTATIONS[name]
    parameters = inspect.signature(entry.build).parameters.values()
    taken = {parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY}
    required = {parameter.name for parameter in parameters if parameter.default is parameter.empty}
    assert taken == {*entry.facts["hyperparameters"], entry.facts["needs"]} - {"probability", None}
    assert required == {"words", "generator", entry.facts["needs"]} - {None}
    assert "probability" in entry.facts["hyperparameters"]
    assert entry.paper


@pytest.mark.parametrize("name", TEXT_AUGMENTATIONS.names())
def test_it_changes_a_text_and_never_empties_it(name):
    given = list(WORDS)
    results = augmented(name, given) + augmented(name, given, **highest_rate(name))
    assert any(result != WORDS for result in results)
    assert all(result and all(isinstance(word, str) and word for word in result) for result in results)
    assert given == WORDS


@pytest.mark.parametrize("name", TEXT_AUGMENTATIONS.names())
def test_a_text_of_one_word_stays_a_text(name):
    for result in augmented(name, ["ok"], **highest_rate(name)):
        assert result
        assert "[MASK]" not in result  # nothing would be left to read


@pytest.mark.parametrize("name", [entry.name for entry in TEXT_AUGMENTATIONS if entry.facts["keeps_words"]])
def test_words_that_keep_their_places_keep_their_labels(name):
    results = augmented(name, WORDS)
    assert all(len(result) == len(WORDS) for result in results)
    for place, word in enumerate(WORDS):
        assert any(result[place] == word for result in results)
        others = {other for result in results for other in result} - {word}
        assert not any(result[place] in set(WORDS) & others for result in results)


def test_all_of_them_run_without_torch():
    program = (
        "import sys, json; from hf_strategies.augmentation.text import augment_text, parse_text_spec, supply\n"
        "for name, supplies in json.loads(sys.argv[1]).items():\n"
        "    if 'synonyms' in supplies: supplies['synonyms'] = {'film': ['movie']}.get\n"
        "    augment_text('a film', supply(parse_text_spec([name]), **supplies), seed=0, epoch=0, example=0)\n"
        "assert 'torch' not in sys.modules"
    )
    plain = {"synonyms": None, "mask_token": "[MASK]", "paraphrases": {"a film": ["one"]}}
    supplies = {
        entry.name: {need: plain[need]} if (need := entry.facts["needs"]) else {} for entry in TEXT_AUGMENTATIONS
    }
    subprocess.run([sys.executable, "-c", program, json.dumps(supplies)], check=True)
