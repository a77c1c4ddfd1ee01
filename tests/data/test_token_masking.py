import numpy as np
import pytest

from hf_strategies.data.token_masking import choose_words, hide, token_masking
from hf_strategies.data.tokenizers import train_tokenizer
from hf_strategies.errors import UserError
from hf_strategies.metrics.language_modeling import IGNORED

PAD, CLS, SEP, MASK = range(4)  # then byte b is 4 + b


@pytest.fixture(scope="session")
def tokenizer():
    return train_tokenizer("bytes", [], objective="masked")


@pytest.fixture
def draws():
    return np.random.default_rng(0)


@pytest.mark.parametrize(("tokens", "rate", "chosen"), [(100, 0.15, 15), (10, 0.15, 2), (3, 0.15, 1), (512, 0.4, 205)])
def test_the_share_is_exact_and_at_least_one_token(tokens, rate, chosen, draws):
    assert choose_words(np.arange(tokens), rate, draws).sum() == chosen


def test_every_token_is_chosen_as_often_as_any_other(draws):
    counts = sum(choose_words(np.arange(20), 0.15, draws).astype(int) for _ in range(2000))
    # 2000 times 3 of 20: 300 on average, with a deviation of sqrt(2000 * 0.15 * 0.85) = 16
    assert counts.sum() == 6000
    assert (abs(counts - 300) < 80).all()


def test_words_are_chosen_whole_and_those_that_would_be_too_much_are_passed_over(draws):
    words = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3])  # of 3, 2, 1 and 8 tokens
    for _ in range(50):
        chosen = choose_words(words, 0.25, draws)  # 3.5 tokens, rounded to even: 4
        whole = [set(chosen[words == word]) for word in range(4)]
        assert all(len(outcome) == 1 for outcome in whole)
        assert 3 <= chosen.sum() <= 4
        assert not chosen[words == 3].any()


def test_tokens_that_belong_to_no_word_are_never_chosen(draws):
    words = np.array([-1, 0, 1, -1, 2, -1])
    for _ in range(20):
        chosen = choose_words(words, 0.9, draws)
        assert chosen.tolist() == [False, True, True, False, True, False]
    assert not choose_words(np.full(5, -1), 0.15, draws).any()


def test_a_text_of_one_long_word_is_hidden_rather_than_nothing_learned(draws):
    assert choose_words(np.zeros(10, int), 0.15, draws).all()


def test_of_the_chosen_80_percent_become_the_mask_10_another_token_and_10_stay(draws):
    ids, chosen = np.arange(100_000), np.arange(100_000) % 2 == 0
    seen = hide(ids, chosen, -1, np.array([-2, -3]), draws)
    assert (seen[~chosen] == ids[~chosen]).all()
    shares = [np.mean(seen[chosen] == -1), np.mean(seen[chosen] < -1), np.mean(seen[chosen] == ids[chosen])]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.005)
    assert np.mean(seen[seen < -1] == -2) == pytest.approx(0.5, abs=0.03)
    assert (ids == np.arange(100_000)).all()  # the caller's own


def test_an_example_is_framed_as_the_tokenizer_frames_a_text_and_filled_with_padding(tokenizer, draws):
    masking = token_masking(tokenizer, 16, rate=0.3)
    assert masking.tokens_per_block == 14
    text = np.array(tokenizer("a black cat", add_special_tokens=False).input_ids)
    example = masking(text, draws)
    assert [values.shape for values in example.values()] == [(16,)] * 3
    framed = tokenizer("a black cat").input_ids
    assert framed[0] == CLS
    assert framed[-1] == SEP
    hidden = example["labels"][:13] != IGNORED
    assert hidden.sum() == round(0.3 * 11)
    assert example["labels"][:13][hidden].tolist() == np.array(framed)[hidden].tolist()
    assert example["input_ids"][:13][~hidden].tolist() == np.array(framed)[~hidden].tolist()
    assert example["input_ids"][13:].tolist() == [PAD] * 3
    assert example["labels"][13:].tolist() == [IGNORED] * 3
    assert example["attention_mask"].tolist() == [1] * 13 + [0] * 3


def test_special_tokens_are_neither_hidden_nor_drawn(tokenizer, draws):
    masking = token_masking(tokenizer, 402, rate=0.5)
    text = np.array([SEP, 104] * 200, dtype=np.uint16)
    example = masking(text, draws)
    assert set(example["labels"].tolist()) == {IGNORED, 104}
    assert (example["input_ids"][1:-1:2] == SEP).all()
    drawn = example["input_ids"][(example["labels"] != IGNORED) & (example["input_ids"] != MASK)]
    assert drawn.min() > MASK


def test_a_word_is_hidden_as_a_whole(tokenizer, draws):
    masking = token_masking(tokenizer, 82, rate=0.3, whole_words=True)
    text = np.array(tokenizer("one four sixteen " * 5, add_special_tokens=False).input_ids)[:80]
    for _ in range(20):
        hidden = masking(text, draws)["labels"][1:-1] != IGNORED
        letters = np.array([chr(token - 4).isalpha() for token in text])
        runs = np.cumsum(~letters)
        assert all(len(set(hidden[letters & (runs == run)])) == 1 for run in set(runs[letters]))
        assert 0.3 * 80 - 7 <= hidden.sum() <= 0.3 * 80


def test_a_tokenizer_without_a_mask_is_refused(bytes_tokenizer):
    with pytest.raises(UserError, match=r"objective masked needs a mask token, and the tokenizer .* has none"):
        token_masking(bytes_tokenizer, 16)
