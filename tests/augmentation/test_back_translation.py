import json
import logging
import math
from collections import Counter

import numpy as np
import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from hf_strategies.augmentation.back_translation import Translator, back_translation, paraphrase
from hf_strategies.augmentation.text import augment_text, parse_text_spec, supply
from hf_strategies.errors import UserError

WORDS = ["one", "two", "three", "four", "five", "six"]
TEXTS = ["one two", "three  four five", "six", "one two"]


@pytest.fixture
def tokenizer(word_tokenizer):
    return word_tokenizer([*WORDS, "eins", "zwei", "__de__"])


@pytest.fixture
def translator(tokenizer):
    """Return a random T5 that writes any token, its end among them, with about equal chances."""

    def build(seed: int = 0, **settings) -> Translator:
        torch.manual_seed(seed)
        config = T5Config(
            vocab_size=len(tokenizer),
            d_model=16,
            d_ff=32,
            d_kv=8,
            num_layers=1,
            num_heads=2,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
        model = T5ForConditionalGeneration(config)
        torch.nn.init.normal_(model.lm_head.weight, std=0.1)
        model.generation_config.suppress_tokens = [tokenizer.mask_token_id, tokenizer.unk_token_id]
        return Translator(model, tokenizer, **settings)

    return build


def test_every_text_has_paraphrases_by_its_words_and_they_are_texts(translator):
    found = paraphrase(TEXTS, [translator()], seed=0, num_paraphrases=8)
    assert list(found) == ["one two", "three four five", "six"]
    assert all(1 <= len(several) <= 8 for several in found.values())
    written = [word for several in found.values() for text in several for word in text.split()]
    assert set(written) <= {*WORDS, "eins", "zwei", "__de__"}
    assert json.loads(json.dumps(found)) == found


def test_the_same_seed_samples_the_same_and_the_global_stream_stays(translator):
    one = translator()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = paraphrase(TEXTS, [one], seed=1, num_paraphrases=8)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    assert paraphrase(TEXTS, [one], seed=1, num_paraphrases=8) == first
    assert paraphrase(TEXTS, [one], seed=2, num_paraphrases=8) != first


def teach(translator: Translator, dictionary: dict[str, str]) -> None:
    """Train a translator to write one word for another."""
    sources, targets = (
        translator.tokenizer(list(words), return_tensors="pt")["input_ids"]
        for words in (dictionary.keys(), dictionary.values())
    )
    model = translator.model.eval()  # no dropout: it is to learn by heart
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-2)
    for _ in range(60):
        loss = model(input_ids=sources, labels=targets).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss < 0.05


def test_each_text_gets_what_was_written_for_it_there_and_back(translator):
    there, back = translator(), translator(seed=1)
    teach(there, {"one": "eins", "two": "zwei", "three": "six", "four": "four"})
    teach(back, {"eins": "five", "zwei": "two", "six": "one", "four": "three"})
    texts, settings = ["one", "two", "three", "four"], {"seed": 0, "temperature": 0.05}
    for batch_size in (1, 3):
        found = paraphrase(texts, [there], **settings, batch_size=batch_size)
        assert found == {"one": ["eins"], "two": ["zwei"], "three": ["six"], "four": []}
        found = paraphrase(texts, [there, back], **settings, batch_size=batch_size)
        assert found == {"one": ["five"], "two": [], "three": ["one"], "four": ["three"]}


def test_progress_is_told_for_each_way(translator, tokenizer):
    there, back, told = translator(), translator(seed=1), []
    teach(there, {"one": "eins", "two": "zwei", "three": "six"})
    teach(back, {"eins": "five", "zwei": "six", "six": "one"})
    settings = {"seed": 0, "temperature": 0.05, "num_paraphrases": 1, "batch_size": 2}
    paraphrase(["one", "two", "three"], [there, back], **settings, progress=lambda *now: told.append(now))
    assert told == [(2, 3), (3, 3), (2, 3), (3, 3)]


def test_neither_the_text_itself_nor_the_same_twice_is_a_paraphrase(translator, tokenizer):
    one = translator()
    one.model.generation_config.suppress_tokens = tokenizer.convert_tokens_to_ids(
        ["[MASK]", "[UNK]", "__de__", "eins", "zwei", *WORDS[2:]]
    )
    (several,) = paraphrase(["ONE"], [one], seed=0, num_paraphrases=64).values()
    assert "one" not in several
    assert "two" in several
    assert len(set(several)) == len(several)


def test_what_is_too_long_for_a_model_is_left_out_and_said(translator, tokenizer, caplog):
    tokenizer.model_max_length = 6  # five words and the end
    long = "one two three four five six"
    with caplog.at_level(logging.WARNING):
        found = paraphrase([long, "one two"], [translator()], seed=0, num_paraphrases=32)
    assert found[long] == []
    assert found["one two"]
    assert "back_translation: 1 of 2 texts have no paraphrase and stay as they are" in caplog.text


def test_a_sample_that_is_cut_is_no_paraphrase(translator, tokenizer):
    one = translator()
    one.model.generation_config.suppress_tokens = [tokenizer.eos_token_id]
    for translators in ([one], [one, translator()]):
        with pytest.raises(UserError, match="none of 3 texts has a paraphrase; they are too long, or what"):
            paraphrase(TEXTS, translators, seed=0)


def test_an_end_that_is_forced_at_the_length_is_a_cut_too(translator, tokenizer):
    one = translator()
    one.model.generation_config.min_new_tokens = 23  # of 24 at most
    one.model.generation_config.forced_eos_token_id = tokenizer.eos_token_id
    with pytest.raises(UserError, match="none of 3 texts has a paraphrase"):
        paraphrase(TEXTS, [one], seed=0)


def test_a_prefix_goes_before_each_text(translator, tokenizer):
    encoded = translator(prefix="four five: ").encode(["one"])
    assert tokenizer.decode(encoded[0]) == "four five [UNK] one [EOS]"


def test_the_target_language_is_the_first_token_written(translator):
    one = translator(target_language="de")
    found = paraphrase(TEXTS, [one], seed=0, num_paraphrases=4)
    assert {text.split()[0] for several in found.values() for text in several} == {"__de__"}


def test_the_source_language_is_told_to_a_multilingual_tokenizer(translator, tokenizer):
    tokenizer.src_lang = "en"
    translator(source_language="fr").encode(["one"])
    assert tokenizer.src_lang == "fr"


def test_a_language_or_a_checkpoint_that_does_not_fit_is_refused(translator, tiny_lm, tokenizer):
    with pytest.raises(UserError, match="has no token of the language 'fr'"):
        translator(target_language="fr")
    with pytest.raises(UserError, match="knows one language only: leave the source language out"):
        translator(source_language="en")
    with pytest.raises(UserError, match="back_translation needs a seq2seq checkpoint, got LlamaForCausalLM"):
        Translator(tiny_lm, tokenizer)


def test_each_paraphrase_is_chosen_as_often():
    choices = {"a text": ["one", "two words", "three"]}
    drawn = Counter(
        tuple(back_translation(["a", "text"], np.random.default_rng(seed), paraphrases=choices)) for seed in range(900)
    )
    assert drawn.keys() == {("one",), ("two", "words"), ("three",)}
    for count in drawn.values():
        assert abs(count - 300) < 5 * math.sqrt(900 * 1 / 3 * 2 / 3)


def test_a_text_without_a_paraphrase_stays_and_one_that_nobody_paraphrased_is_an_error():
    spec = supply(parse_text_spec(["back_translation"]), paraphrases={"a text": []})
    assert augment_text("a  text", spec, seed=0, epoch=0, example=0) == "a  text"
    with pytest.raises(UserError, match="no entry for the text 'another text': its paraphrases are of other texts"):
        augment_text("another text", spec, seed=0, epoch=0, example=0)
