import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import LambdaLR

from hf_strategies.optimizers import create_optimizer
from hf_strategies.optimizers.group_table import GroupRow, describe_param_groups


def test_our_groups_tell_what_they_were_made_of():
    optimizer = create_optimizer("lion", nn.Linear(4, 3), lr=1e-3, weight_decay=0.1)
    for group in optimizer.param_groups:
        group["params"] = [nn.Parameter(torch.zeros(1))]  # what sharding leaves of them
    assert describe_param_groups(optimizer) == [
        GroupRow("weights", tensors=1, parameters=12, lr=1e-3, weight_decay=0.1, optimizer="lion"),
        GroupRow("vectors", tensors=1, parameters=3, lr=1e-3, weight_decay=0.0, optimizer="lion"),
    ]


def test_rates_are_those_before_the_schedule():
    optimizer = create_optimizer("adamw", nn.Linear(4, 3, bias=False), lr=1e-3)
    LambdaLR(optimizer, lambda _: 0.5)
    assert optimizer.param_groups[0]["lr"] == 5e-4
    assert describe_param_groups(optimizer)[0].lr == 1e-3


class Wrapped:
    """An optimizer inside accelerate's and DeepSpeed's."""

    def __init__(self, optimizer) -> None:
        self.optimizer, self.param_groups = optimizer, optimizer.param_groups


def test_groups_of_others_are_numbered_and_counted():
    first, second = nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(5))
    optimizer = AdamW([{"params": [first], "lr": 0.5}, {"params": [second], "weight_decay": 0.0}], lr=0.1)
    rows = [
        GroupRow("group 0", tensors=1, parameters=6, lr=0.5, weight_decay=0.01, optimizer="AdamW"),
        GroupRow("group 1", tensors=1, parameters=5, lr=0.1, weight_decay=0.0, optimizer="AdamW"),
    ]
    assert describe_param_groups(optimizer) == rows
    assert describe_param_groups(Wrapped(Wrapped(optimizer))) == rows


@pytest.mark.parametrize("lr", [0.25, torch.tensor(0.25)], ids=["number", "tensor"])
def test_a_rate_is_a_number(lr):
    (row,) = describe_param_groups(SGD([nn.Parameter(torch.zeros(1))], lr=lr))
    assert isinstance(row.lr, float)
    assert row.lr == 0.25
