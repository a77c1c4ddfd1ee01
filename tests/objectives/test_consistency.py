import pytest
import torch
from torch.nn import functional as F

from hf_strategies.objectives.consistency import symmetric_divergence


def test_is_half_of_torchs_two_divergences_over_the_positions_that_count():
    draws = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 4, 6, generator=draws), torch.randn(2, 4, 6, generator=draws)
    counted = torch.tensor([[True, True, False, True], [False, True, True, True]])
    log_p, log_q = first.log_softmax(-1)[counted], second.log_softmax(-1)[counted]
    kwargs = {"reduction": "sum", "log_target": True}
    expected = (F.kl_div(log_q, log_p, **kwargs) + F.kl_div(log_p, log_q, **kwargs)) / 2
    torch.testing.assert_close(symmetric_divergence(first, second, counted), expected)


def test_a_hand_value_and_none_where_both_agree():
    # Probabilities 3/4 and 1/4 against 1/4 and 3/4: each divergence is log(3) / 2.
    first, second = torch.tensor([[3.0, 1.0]]).log(), torch.tensor([[1.0, 3.0]]).log()
    one = torch.tensor([True])
    assert symmetric_divergence(first, second, one).item() == pytest.approx(0.5493061)
    assert symmetric_divergence(first, first + 7.0, one).item() == pytest.approx(0.0, abs=1e-6)


def test_half_precision_is_summed_in_float32():
    draws = torch.Generator().manual_seed(0)
    first, second = torch.randn(1, 4096, generator=draws), torch.randn(1, 4096, generator=draws)
    rounded = [logits.bfloat16() for logits in (first, second)]
    expected = symmetric_divergence(*[logits.float() for logits in rounded], torch.tensor([True]))
    torch.testing.assert_close(symmetric_divergence(*rounded, torch.tensor([True])), expected)
