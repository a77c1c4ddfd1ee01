import math

import numpy as np
import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.metrics.language_modeling import language_modeling_metrics, next_token_nll
from hf_strategies.metrics.perplexity import perplexity


def test_it_is_the_perplexity_of_the_sums_that_leave_the_device():
    draw = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(3, 6, 9, generator=draw), torch.randint(0, 9, (3, 6), generator=draw)
    labels[1, 4:] = -100
    rows = next_token_nll(logits, labels).numpy()
    of_token = logits.log_softmax(-1)[:, :-1].gather(-1, labels[:, 1:, None].clamp(min=0))[..., 0]
    expected = language_modeling_metrics(rows, num_bytes=None)["perplexity"]
    assert perplexity(of_token.numpy(), labels[:, 1:].numpy()) == pytest.approx(expected, rel=1e-6)


def test_rows_of_any_length_count_by_their_tokens():
    assert perplexity([[-math.log(2)] * 3, [-math.log(32)]], [[5, 5, 5], [5]]) == pytest.approx(4.0)


def test_what_is_past_the_range_of_a_float_is_infinite():
    assert perplexity([[-1000.0]], [[1]]) == math.inf


def test_a_loss_in_place_of_a_log_likelihood_is_refused():
    assert perplexity(np.array([[1e-7, 0.0]]), [[1, 1]]) == pytest.approx(1.0)  # rounding
    with pytest.raises(UserError, match=r"expected log-likelihoods, at most 0, got 2.5: is it a loss\?"):
        perplexity([[2.5]], [[1]])
    with pytest.raises(UserError, match="every label is -100"):
        perplexity([[-1.0]], [[-100]])
