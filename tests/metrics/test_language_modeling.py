import math

import numpy as np
import pytest
import torch

from hf_strategies.metrics.language_modeling import language_modeling_metrics, next_token_nll, token_nll


def test_uniform_logits_cost_the_logarithm_of_the_vocabulary():
    labels = torch.tensor([[0, 1, 2, 3], [0, 1, -100, -100]])
    rows = next_token_nll(torch.zeros(2, 4, 8), labels)
    np.testing.assert_allclose(rows, [[3 * math.log(8), 3], [math.log(8), 1]], rtol=1e-6)
    assert rows.dtype is torch.float32  # a device may have no other


def test_the_sum_agrees_with_the_hosts_own_loss(tiny_lm):
    ids = torch.randint(0, 64, (3, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = tiny_lm(input_ids=ids, labels=ids)
    nats, targets = next_token_nll(output.logits, ids).sum(dim=0)
    assert targets == 3 * 15
    assert (nats / targets).item() == pytest.approx(output.loss.item(), rel=1e-6)


def test_a_model_that_sees_the_whole_text_is_judged_where_its_labels_stand():
    logits = torch.zeros(2, 3, 8)
    logits[0, 1, 5] = 100.0
    labels = torch.tensor([[-100, 5, -100], [1, 2, -100]])
    rows = token_nll(logits, labels)
    np.testing.assert_allclose(rows, [[0.0, 1], [2 * math.log(8), 2]], atol=1e-6)
    assert torch.equal(token_nll((logits, torch.ones(2, 9, 4)), labels), rows)  # as T5 gives them


def test_metrics_by_hand():
    # 8 bits for the four bytes that the targets spell: 2 bits per byte; 4 targets at 2 bits each: perplexity 4.
    metrics = language_modeling_metrics(np.array([[6 * math.log(2), 3], [2 * math.log(2), 1]]), num_bytes=4)
    assert metrics == pytest.approx({"bits_per_byte": 2.0, "loss": 2 * math.log(2), "perplexity": 4.0})


def test_rows_of_low_precision_are_summed_in_a_higher_one():
    rows = np.array([[2.0**24, 2.0**24], [1.0, 1.0]], dtype=np.float32)  # the first number that float32 misses
    metrics = language_modeling_metrics(rows, num_bytes=(2**24 + 1) / math.log(2))
    assert metrics == pytest.approx({"bits_per_byte": 1.0, "loss": 1.0, "perplexity": math.e}, rel=1e-12)


def test_without_bytes_there_is_no_bits_per_byte():
    assert language_modeling_metrics(np.array([[1.0, 1]]), num_bytes=None).keys() == {"loss", "perplexity"}


def test_a_hopeless_model_has_an_infinite_perplexity_instead_of_an_error():
    assert language_modeling_metrics(np.array([[1e6, 1]]), num_bytes=1)["perplexity"] == math.inf


def test_a_loss_that_is_not_a_number_stays_one():
    metrics = language_modeling_metrics(np.array([[math.nan, 1]]), num_bytes=1)
    assert all(math.isnan(value) for value in metrics.values())
