import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.optimizers import create_optimizer
from hf_strategies.optimizers.adamw import adamw, runs_fused
from hf_strategies.optimizers.group_table import describe_param_groups


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


def test_tied_decay_shrinks_by_the_rate_and_independent_decay_by_the_schedule_alone():
    def shrunk(decay: str, lr: float) -> list[float]:
        param = torch.nn.Parameter(torch.ones(2))
        optimizer = adamw([{"params": [param], "weight_decay": 0.1}], lr=lr, decay=decay)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.5, total_iters=1)
        kept = []
        for _ in range(2):
            before = param[0].item()
            param.grad = torch.zeros(2)  # what is left of the update is the decay
            optimizer.step()
            schedule.step()
            kept.append(1 - param[0].item() / before)
        return kept

    assert shrunk("tied", 0.2) == pytest.approx([0.02, 0.01], rel=1e-4)
    assert shrunk("independent", 0.2) == pytest.approx([0.1, 0.05], rel=1e-4)
    assert shrunk("independent", 0.02) == pytest.approx([0.1, 0.05], rel=1e-4)


def test_each_group_decays_independently_of_its_own_rate():
    params = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
    groups = [
        {"params": [params[0]], "lr": 0.5, "weight_decay": 0.1},
        {"params": [params[1]], "lr": 0.01, "weight_decay": 0.1},
        {"params": [params[2]], "lr": 0.0},
    ]
    optimizer = adamw(groups, lr=0.1, decay="independent")
    for param in params:
        param.grad = torch.zeros(2)
    optimizer.step()
    for param, left in zip(params, (0.9, 0.9, 1.0)):
        torch.testing.assert_close(param.detach(), torch.full((2,), left))


def test_independent_decay_is_listed_as_it_was_asked_for():
    optimizer = create_optimizer("adamw", torch.nn.Linear(2, 3), lr=1e-3, weight_decay=0.01, decay="independent")
    assert [(row.group, row.weight_decay) for row in describe_param_groups(optimizer)] == [
        ("weights", 0.01),
        ("vectors", 0.0),
    ]


def test_independent_decay_of_a_group_that_stands_still_is_refused():
    group = {"params": [torch.nn.Parameter(torch.zeros(2))], "weight_decay": 0.1}
    with pytest.raises(UserError, match="needs a learning rate above 0"):
        adamw([group], lr=0.0, decay="independent")
    with pytest.raises(UserError, match="decay must be one of tied, independent, got 'loose'"):
        adamw([group], lr=0.1, decay="loose")
