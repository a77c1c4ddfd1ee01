import math

import pytest
import torch

from hf_strategies.objectives.z_loss import squared_log_normalizers


def test_a_hand_value_with_one_position_left_out():
    logits = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0], [50.0, 50.0]])
    found = squared_log_normalizers(logits, torch.tensor([True, True, False]))
    assert found.item() == pytest.approx(math.log(2) ** 2 + math.log(4) ** 2)


def test_half_precision_is_summed_in_float32():
    logits = torch.full((1, 4096), 8.0, dtype=torch.bfloat16)
    found = squared_log_normalizers(logits, torch.tensor([True]))
    assert found.item() == pytest.approx((8 + math.log(4096)) ** 2, rel=1e-5)
