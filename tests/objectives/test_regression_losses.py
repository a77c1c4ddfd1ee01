import pytest
import torch
from torch.nn import functional as F

from hf_strategies.errors import UserError
from hf_strategies.objectives.regression import huber, mean_squared_error


def test_hand_values_with_a_heads_last_dimension_of_one():
    predictions, labels = torch.tensor([[1.0], [2.0], [-100.0]]), torch.tensor([1.5, 5.0, -100.0])
    assert mean_squared_error(predictions, labels).item() == pytest.approx((0.25 + 9.0) / 3)
    # An error of 3 at delta 2: 2 (3 - 1) = 4; of 0.5: 0.125.
    assert huber(predictions, labels, delta=2.0).item() == pytest.approx((0.125 + 4.0) / 3)


def test_several_numbers_per_row_are_torchs_mean():
    draws = torch.Generator().manual_seed(0)
    predictions, labels = torch.randn(6, 3, generator=draws), torch.randn(6, 3, generator=draws)
    torch.testing.assert_close(mean_squared_error(predictions, labels), F.mse_loss(predictions, labels))
    torch.testing.assert_close(huber(predictions, labels, delta=0.5), F.huber_loss(predictions, labels, delta=0.5))


def test_whole_numbers_are_labels_too():
    assert mean_squared_error(torch.tensor([1.5]), torch.tensor([1])).item() == 0.25


@pytest.mark.parametrize("loss", [mean_squared_error, huber])
def test_labels_that_torch_would_spread_over_all_predictions_are_refused(loss):
    with pytest.raises(UserError, match=r"one number per prediction, of shape \[4, 2\], got shape \[2\]"):
        loss(torch.zeros(4, 2), torch.zeros(2))
