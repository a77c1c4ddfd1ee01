import pytest
import torch
from torch import nn

from hf_strategies.errors import UserError
from hf_strategies.optimizers import OptimizerFactory, create_optimizer


def test_weights_decay_and_biases_do_not():
    optimizer = create_optimizer("lion", nn.Linear(4, 3), lr=1e-3, weight_decay=0.1)
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(1e-3, 0.1), (1e-3, 0.0)]


def test_the_host_gets_the_same_optimizer_from_the_factory_object():
    model = nn.Linear(4, 3)
    optimizer = OptimizerFactory()(model, name="adamw", lr=1e-3, weight_decay=0.1, betas=(0.8, 0.9))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)


def test_a_wholly_frozen_model_is_refused():
    model = nn.Linear(4, 3).requires_grad_(False)
    with pytest.raises(UserError, match="'adamw' has nothing to train: every parameter of Linear is frozen"):
        create_optimizer("adamw", model, lr=1e-3)


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"weight_decay": -1.0}, {"lr": 1e-3, "beta": (0.9, 0.95)}], ids=str)
def test_a_wrong_value_or_word_never_reaches_an_optimizer(wrong):
    with pytest.raises(UserError):
        create_optimizer("adamw", nn.Linear(4, 3), **{"lr": 1e-3, **wrong})
