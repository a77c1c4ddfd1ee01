import math
import os
import random
import subprocess
import sys

import numpy as np
import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from hf_strategies.augmentation.spec import Step
from hf_strategies.augmentation.text import augment_text, find_mask_token, needs_of, parse_text_spec, supply
from hf_strategies.errors import UserError

TEXT = "The first film of this quite unknown director deserves a much wider audience ."
KEY = {"seed": 1, "epoch": 2, "example": 3}


def test_nothing_said_is_nothing_done():
    assert parse_text_spec(None) == parse_text_spec([]) == ()
    assert augment_text(TEXT, (), **KEY) == TEXT


def test_a_list_as_yaml_gives_it_becomes_a_specification():
    written = [{"name": "aeda", "probability": 0.5, "rate": 0.3}, "random_swap"]
    assert parse_text_spec(written) == (Step("aeda", {"probability": 0.5, "rate": 0.3}), Step("random_swap"))


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("aeda", "text_augmentation must be a list such as [{name: aeda}], got 'aeda'"),
        (["aead"], "unknown text augmentation 'aead', did you mean 'aeda'? (known: aeda, back_translation, "),
        ([{"rate": 1}], "text_augmentation must say a name, as in {name: aeda}, got {'rate': 1}"),
        ([{"name": "aeda", "rat": 1}], "aeda has no setting 'rat', did you mean 'rate'? (known: probability, rate)"),
        ([{"name": "aeda", "rate": 0}], "text_augmentation: rate of aeda must be a number in (0, 1], got 0"),
        ([{"name": "aeda", "probability": 2}], "probability of aeda must be a number in [0, 1], got 2"),
        ([{"name": "eda", "synonyms": "wordnet"}], "eda has no setting 'synonyms'"),
        ([{"name": "span_masking", "lengths": "gauss"}], "lengths of span_masking must be one of geometric, poisson"),
        ([{"name": "span_masking", "mean_length": 0.5}], "mean_length of span_masking must be a finite number >= 1"),
        (["aeda", "aeda"], "text_augmentation has aeda more than once"),
        (["aeda", "back_translation"], "back_translation must be the first, got it after aeda"),
        (["token_dropout", "aeda"], "aeda must be before token_dropout: what changes words would change its mask"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(written, complaint):
    with pytest.raises(UserError) as caught:
        parse_text_spec(written)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_moves_words_is_refused_where_words_have_labels():
    parse_text_spec(["synonym_replacement", "character_noise", "token_dropout"], keeps_words=True)
    with pytest.raises(
        UserError, match=r"random_swap moves words away from their labels \(where words have labels: syn"
    ):
        parse_text_spec(["random_swap"], keeps_words=True)


def test_paraphrases_come_first_and_masks_last():
    spec = parse_text_spec(["back_translation", "eda", "token_dropout", "span_masking"])
    assert needs_of(spec) == {"paraphrases", "synonyms", "mask_token"}
    assert needs_of(parse_text_spec(["aeda"])) == set()


def test_what_is_supplied_reaches_what_needs_it_beside_what_was_written():
    spec = supply(
        parse_text_spec(["aeda", {"name": "token_dropout", "rate": 0.5}]), mask_token="<mask>", synonyms=dict
    )
    assert spec == (Step("aeda"), Step("token_dropout", {"rate": 0.5, "mask_token": "<mask>"}))
    assert "<mask>" in augment_text(TEXT, spec, **KEY).split()


def test_a_text_depends_on_its_key_alone_and_on_all_of_it():
    spec = parse_text_spec(["aeda", "character_noise"])
    changed = augment_text(TEXT, spec, **KEY)
    assert augment_text(TEXT, spec, **KEY) == changed != TEXT
    others = [{**KEY, part: 9} for part in KEY] + [{**KEY, "field": "pair"}]
    assert len({changed, *(augment_text(TEXT, spec, **other) for other in others)}) == 5


def test_no_epoch_repeats_another():
    spec = parse_text_spec(["random_swap", "character_noise"])
    texts = [augment_text(TEXT, spec, seed=0, epoch=epoch, example=0) for epoch in range(20)]
    assert len(set(texts)) == 20


def test_augmentations_do_not_share_draws():
    alone = augment_text(TEXT, parse_text_spec(["aeda"]), **KEY)
    beside = parse_text_spec([{"name": "random_swap", "probability": 0.0}, "aeda", {"name": "eda", "probability": 0}])
    assert augment_text(TEXT, beside, **KEY) == alone


def test_one_augmentation_says_nothing_of_another():
    spec = parse_text_spec([{"name": "random_swap", "probability": 0.5}, {"name": "aeda", "probability": 0.5}])
    texts = [augment_text("one two three", spec, seed=0, epoch=0, example=example).split() for example in range(50)]
    seen = {([word for word in text if word.isalpha()] != ["one", "two", "three"], len(text) > 3) for text in texts}
    assert len(seen) == 4


def test_a_text_is_augmented_with_its_probability():
    spec = parse_text_spec([{"name": "aeda", "probability": 0.3}])
    changed = sum(augment_text(TEXT, spec, seed=0, epoch=0, example=example) != TEXT for example in range(1000))
    assert abs(changed - 300) < 5 * math.sqrt(1000 * 0.3 * 0.7)


def test_spaces_stay_in_a_text_that_does_not_change_and_become_single_in_one_that_does():
    text = " one\n\ttwo  three "
    assert augment_text(text, parse_text_spec([{"name": "random_swap", "probability": 0}]), **KEY) == text
    swapped = augment_text(text, parse_text_spec(["random_swap"]), **KEY)
    assert swapped in {"two one three", "three two one", "one three two"}


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_text_stays(text):
    assert augment_text(text, parse_text_spec(["aeda", "random_deletion"]), **KEY) == text


def test_no_global_stream_is_touched():
    before = random.getstate(), np.random.get_state()[1].tolist()
    augment_text(TEXT, parse_text_spec(["random_deletion", "aeda", "character_noise"]), **KEY)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_another_process_sees_the_same_text():
    program = (
        "from hf_strategies.augmentation.text import *\n"
        f"print(augment_text({TEXT!r}, parse_text_spec(['aeda', {{'name': 'character_noise', 'rate': 1}}]), **{KEY}))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def tokenizer(*words: str, **special: str) -> PreTrainedTokenizerFast:
    vocabulary = {word: number for number, word in enumerate([*words, *special.values()])}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary)), **special)


def test_a_missing_word_is_written_as_the_tokenizer_reads_it():
    assert find_mask_token(tokenizer(mask_token="<mask>", unk_token="<unk>")) == "<mask>"
    assert find_mask_token(tokenizer("<extra_id_0>", unk_token="<unk>")) == "<extra_id_0>"
    assert find_mask_token(tokenizer("a", unk_token="<unk>")) == "<unk>"
    with pytest.raises(UserError, match="choose random_deletion instead"):
        find_mask_token(tokenizer("a", unk_token="<|end|>", eos_token="<|end|>"))
