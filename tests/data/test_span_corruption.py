from collections import Counter

import numpy as np
import pytest

from hf_strategies.data.span_corruption import (
    Noise,
    corrupt,
    noise_of,
    random_lengths,
    span_corruption,
    tokens_that_fill,
)
from hf_strategies.data.tokenizers import train_tokenizer
from hf_strategies.errors import UserError
from hf_strategies.metrics.language_modeling import IGNORED

PAD, EOS = 0, 1  # then byte b is 2 + b; the sentinels are 357 (<extra_id_0>), 356, ...


@pytest.fixture(scope="session")
def tokenizer():
    return train_tokenizer("bytes", [], objective="span")


@pytest.fixture
def draws():
    return np.random.default_rng(0)


def papers_lengths(inputs_length, noise_density, mean_noise_span_length):
    """Search as T5's code describes it: lengthen the text while its corrupted form still fits."""

    def lengths(tokens):
        noise = int(np.round(tokens * noise_density))
        spans = int(np.round(noise / mean_noise_span_length))
        return tokens - noise + spans + 1, noise + spans + 1

    tokens = inputs_length
    while lengths(tokens + 1)[0] <= inputs_length:
        tokens += 1
    return (tokens, *lengths(tokens))


@pytest.mark.parametrize("inputs_length", [64, 128, 256, 511, 512, 513, 1024])
@pytest.mark.parametrize(("rate", "mean"), [(0.15, 3.0), (0.25, 5.0), (0.3, 3.0)])
def test_lengths_are_those_of_the_papers_code(inputs_length, rate, mean, tokenizer):
    try:
        masking = span_corruption(tokenizer, inputs_length, rate=rate, mean_span_length=mean)
    except UserError:
        assert noise_of(tokens_that_fill(inputs_length, rate, mean), rate, mean).spans > 100  # of its sentinels
        return
    tokens, inputs, targets = papers_lengths(inputs_length, rate, mean)
    assert (masking.tokens_per_block, masking.targets_length) == (tokens, targets)
    example = masking(np.full(tokens, 100), np.random.default_rng(0))
    assert example["attention_mask"].sum() == inputs
    assert (example["labels"] != IGNORED).sum() == targets


def test_512_tokens_are_made_of_568_and_leave_114_to_write(tokenizer):
    masking = span_corruption(tokenizer, 512)  # 85 noise tokens in 28 spans: 568 - 85 + 28 + 1 and 85 + 28 + 1
    assert (masking.tokens_per_block, masking.inputs_length, masking.targets_length) == (568, 512, 114)


def test_short_texts_keep_a_token_and_lose_one():
    assert noise_of(2, 0.15, 3.0) == Noise(1, 1)
    assert noise_of(3, 0.9, 1.0) == Noise(2, 1)  # two pieces of noise need two of text


def test_the_papers_own_example(draws):
    # Figure 2: "Thank you <X> me to your party <Y> week", and "<X> for inviting <Y> last".
    text = np.array(["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week"])
    inputs, targets = corrupt(text[:9], np.array([2, 4]), np.array([2, 1]), np.array(["<X>", "<Y>"]))
    assert " ".join(inputs) == "Thank you <X> me to your party <Y>"
    assert " ".join(targets) == "<X> for inviting <Y> last"


def test_what_is_kept_and_what_is_hidden_are_the_text_again(tokenizer, draws):
    masking = span_corruption(tokenizer, 64)
    text = draws.integers(10, 250, size=masking.tokens_per_block)
    example = masking(text, draws)
    inputs, targets = example["input_ids"].tolist(), example["labels"].tolist()
    assert inputs[-1] == targets[-1] == EOS
    gaps = {}
    for token in targets[:-1]:
        if token >= 258:
            gap = gaps.setdefault(token, [])
        else:
            gap.append(token)
    assert list(gaps) == list(range(357, 357 - len(gaps), -1))
    restored = [token for piece in inputs[:-1] for token in (gaps.get(piece, [piece]))]
    assert restored == text.tolist()


def test_every_division_is_as_likely_as_any_other(draws):
    counts = Counter(tuple(random_lengths(5, 3, draws).tolist()) for _ in range(6000))
    assert set(counts) == {(1, 1, 3), (1, 3, 1), (3, 1, 1), (1, 2, 2), (2, 1, 2), (2, 2, 1)}
    assert max(abs(count - 1000) for count in counts.values()) < 150  # sqrt(6000 * 1/6 * 5/6) = 29
    assert random_lengths(4, 1, draws).tolist() == [4]
    assert random_lengths(3, 3, draws).tolist() == [1, 1, 1]


def test_a_short_last_block_is_filled_up_and_a_single_token_stays(tokenizer, draws):
    masking = span_corruption(tokenizer, 64)
    tail = masking(np.arange(100, 110), draws)
    assert tail["attention_mask"].tolist() == [1] * 10 + [0] * 54  # 10 - 2 noise + 1 mark + 1 end
    assert (tail["input_ids"][10:] == PAD).all()
    assert (tail["labels"][4:] == IGNORED).all()
    single = masking(np.array([100]), draws)
    assert single["input_ids"][:2].tolist() == [100, EOS]
    assert single["labels"][:2].tolist() == [EOS, IGNORED]


def test_a_tokenizer_with_too_few_sentinels_is_refused(tokenizer, bytes_tokenizer):
    with pytest.raises(UserError, match=r"objective span needs sentinels \(<extra_id_0>, ...\), and the tokenizer"):
        span_corruption(bytes_tokenizer, 64)
    with pytest.raises(UserError, match=r"up to 114 spans, and the tokenizer .* 100 sentinels: choose a smaller"):
        span_corruption(tokenizer, 2048)
    with pytest.raises(UserError, match="must be at least 3 for objective span, got 2"):
        span_corruption(tokenizer, 2)
