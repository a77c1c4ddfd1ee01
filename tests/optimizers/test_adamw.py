import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.optimizers.adamw import adamw, runs_fused


def textbook_adamw(param, grad, mean, square, step, *, lr, betas, eps, weight_decay):
    """The paper's Algorithm 2, spelled out with fresh tensors."""
    mean = betas[0] * mean + (1 - betas[0]) * grad
    square = betas[1] * square + (1 - betas[1]) * grad**2
    direction = (mean / (1 - betas[0] ** step)) / ((square / (1 - betas[1] ** step)).sqrt() + eps)
    return param - lr * (direction + weight_decay * param), mean, square


def test_matches_the_textbook_update():
    generator = torch.Generator().manual_seed(0)
    expected = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    mean, square = torch.zeros_like(expected), torch.zeros_like(expected)
    param = torch.nn.Parameter(expected.clone())
    optimizer = adamw([{"params": [param], "weight_decay": 0.3}], lr=0.1)
    for step in range(1, 11):
        param.grad = torch.randn(5, 3, dtype=torch.float64, generator=generator)
        optimizer.step()
        hyper = {"lr": 0.1, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.3}
        expected, mean, square = textbook_adamw(expected, param.grad, mean, square, step, **hyper)
        torch.testing.assert_close(param.detach(), expected)


def test_runs_in_one_pass_where_torch_has_the_kernel():
    assert adamw([{"params": [torch.nn.Parameter(torch.zeros(2))]}], lr=0.1).defaults["fused"] is True
    assert not runs_fused([torch.zeros(2, device="meta")])


def test_a_group_without_decay_of_its_own_is_not_decayed():
    (group,) = adamw([{"params": [torch.nn.Parameter(torch.zeros(2))]}], lr=0.1).param_groups
    assert group["weight_decay"] == 0.0


def test_rejects_nonsense():
    with pytest.raises(UserError, match="eps must be"):
        adamw([{"params": [torch.nn.Parameter(torch.zeros(2))]}], lr=0.1, eps=-1.0)
