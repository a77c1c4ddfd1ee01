import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from hf_strategies.augmentation.embedding_neighbours import whole_words
from hf_strategies.augmentation.masked_lm_fills import Occurrence, find_occurrences, masked_lm_fills

WORDS = ["film", "movie", "good", "fine", "bad", "plot", "actor", "scene", "story", "music"]
TEXTS = ["the good film", "a bad film with music", "good good story"]


@pytest.fixture
def tokenizer(word_tokenizer):
    return word_tokenizer(["the", "a", "with", *WORDS])


@pytest.fixture
def model(tokenizer) -> BertForMaskedLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=24, initializer_range=0.5, **sizes)
    return BertForMaskedLM(config)


def textbook_fills(word: str, model, tokenizer, floor: float) -> list[str]:
    """One row at a time, without padding: chances of all words but this one, averaged over its occurrences."""
    tokens = {name: token for name, token in whole_words(tokenizer).items() if name != word}
    chances = []
    for text in TEXTS:
        for place, found in enumerate(text.split()):
            if found == word:
                masked = [*text.split()[:place], "[MASK]", *text.split()[place + 1 :]]
                inputs = tokenizer(text, " ".join(masked), return_tensors="pt")
                column = inputs["input_ids"][0].tolist().index(tokenizer.mask_token_id)
                chances.append(model(**inputs).logits[0, column, list(tokens.values())].softmax(dim=0))
    mean = torch.stack(chances).mean(dim=0)
    ranked = sorted(zip(tokens, mean.tolist()), key=lambda pair: -pair[1])
    return [name for name, chance in ranked if chance >= floor]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_fills_are_those_of_a_slow_reading(model, tokenizer, batch_size):
    model.eval()
    found = masked_lm_fills(TEXTS, model.train(), tokenizer, floor=0.1, batch_size=batch_size)
    assert found.keys() == {"good", "film", "bad", "music", "story"}
    assert any(found.values())
    assert found == {word: textbook_fills(word, model, tokenizer, 0.1) for word in found}


def test_the_likeliest_word_is_all_that_passes_a_high_floor(model, tokenizer):
    with torch.no_grad():
        model.cls.predictions.bias[tokenizer.convert_tokens_to_ids("movie")] = 50.0
    found = masked_lm_fills([*TEXTS, "the movie"], model, tokenizer, floor=0.9)
    assert "movie" not in found.pop("movie")
    assert found == {word: ["movie"] for word in ("good", "film", "bad", "music", "story")}


def test_fills_are_limited(model, tokenizer):
    assert {len(fills) for fills in masked_lm_fills(TEXTS, model, tokenizer, floor=0.0, most=3).values()} == {3}


def test_what_does_not_fit_the_model_does_not_count(model, tokenizer):
    long = " ".join(["the"] * 40 + ["film"] + ["the"] * 40)  # 33 words around it, twice, in a model of 24 positions
    assert masked_lm_fills([long], model, tokenizer) == {}


def test_occurrences_are_windows_with_the_word_and_with_a_mask():
    texts = ['A "Film," good film', " ".join(["so"] * 40 + ["music"] + ["so"] * 40)]
    film, good, _, music = find_occurrences(texts, "[MASK]", contexts=3)
    assert film == Occurrence("film", 'A "Film," good film', 'A "[MASK]," good film')
    assert good.masked == 'A "Film," [MASK] film'
    assert music.masked.split() == ["so"] * 16 + ["[MASK]"] + ["so"] * 16


def test_the_first_occurrences_of_a_word_are_taken():
    texts = [f"film {number}" for number in range(5)]
    assert [one.text for one in find_occurrences(texts, "[MASK]", contexts=2)] == ["film 0", "film 1"]
