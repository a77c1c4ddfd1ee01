import copy

import pytest
import torch
from torch import Tensor, nn

from hf_strategies.errors import UserError
from hf_strategies.optimizers import create_optimizer
from hf_strategies.optimizers.lamb import Lamb, lamb, trust_ratios


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def textbook_lamb(param, grad, mean, square, step, *, lr, betas, eps, weight_decay):
    """The paper's Algorithm 2, spelled out with fresh tensors; vectors keep Adam's step."""
    mean = betas[0] * mean + (1 - betas[0]) * grad
    square = betas[1] * square + (1 - betas[1]) * grad**2
    ratio = (mean / (1 - betas[0] ** step)) / ((square / (1 - betas[1] ** step)).sqrt() + eps)
    direction = ratio + weight_decay * param
    trust = param.norm() / direction.norm() if param.ndim > 1 else 1.0
    return param - lr * trust * direction, mean, square


@pytest.mark.parametrize("fused", [True, False])
def test_matches_the_textbook_update_with_two_groups_of_different_rate(fused):
    shapes = [(5, 3), (2, 3, 4), (7,)]
    expected = [random(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    means, squares = ([torch.zeros_like(tensor) for tensor in expected] for _ in range(2))
    params = [nn.Parameter(tensor.clone()) for tensor in expected]
    rates = [0.1, 0.02, 0.02]
    optimizer = Lamb([{"params": params[:1]}, {"params": params[1:], "lr": 0.02}], lr=0.1, weight_decay=0.3)
    for group in optimizer.param_groups:
        assert group["fused"]
        group["fused"] = fused
    for step in range(1, 11):
        for place, (param, shape) in enumerate(zip(params, shapes)):
            param.grad = random(*shape, seed=10 * step + place)
        grads = [param.grad.clone() for param in params]
        optimizer.step()
        for place, (param, grad) in enumerate(zip(params, grads)):
            hyper = {"lr": rates[place], "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 0.3}
            expected[place], means[place], squares[place] = textbook_lamb(
                expected[place], grad, means[place], squares[place], step, **hyper
            )
            torch.testing.assert_close(param.detach(), expected[place])
            assert torch.equal(param.grad, grad)  # the gradient belongs to the caller


def test_a_step_moves_a_tensor_by_the_rate_times_its_own_length():
    for size in (1e-3, 1.0, 1e3):
        param = nn.Parameter(size * random(4, 6))
        start = param.detach().clone()
        param.grad = random(4, 6, seed=1)
        Lamb([param], lr=0.05, weight_decay=0.1).step()
        assert float((param - start).norm() / start.norm()) == pytest.approx(0.05)


def test_the_ratio_is_one_where_either_norm_is_zero():
    ratios = trust_ratios(torch.tensor([2.0, 0.0, 3.0, 0.0]), torch.tensor([4.0, 5.0, 0.0, 0.0]))
    assert ratios.tolist() == [0.5, 1.0, 1.0, 1.0]


def test_a_weight_that_starts_at_zero_gets_adams_first_step():
    param = nn.Parameter(torch.zeros(2, 3))
    param.grad = torch.full((2, 3), -4.0)
    Lamb([param], lr=0.1).step()
    torch.testing.assert_close(param.detach(), torch.full((2, 3), 0.1))


def test_norms_and_biases_take_adamws_step_without_decay():
    model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    twin = copy.deepcopy(model)
    ours = create_optimizer("lamb", model, lr=0.1, weight_decay=0.5)
    vectors = [param for param in twin.parameters() if param.ndim < 2]
    theirs = torch.optim.AdamW(vectors, lr=0.1, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0, fused=True)
    for step in range(3):
        for param, other in zip(model.parameters(), twin.parameters()):
            param.grad = other.grad = random(*param.shape, seed=step, dtype=torch.float32)
        ours.step()
        theirs.step()
    for param, other in zip(model.parameters(), twin.parameters()):
        assert torch.equal(param, other) is (param.ndim < 2)


def test_flat_shards_are_refused_when_they_come_later():
    optimizer = create_optimizer("lamb", nn.Linear(4, 3, bias=False), lr=1e-3)
    shard = nn.Parameter(torch.ones(6))  # ZeRO-1 and 2 put shards into the groups of a finished optimizer
    shard.grad = torch.ones(6)
    optimizer.param_groups[0]["params"] = [shard]
    with pytest.raises(UserError, match=r"lamb needs whole tensors.*adamw"):
        optimizer.step()
    assert torch.equal(shard, torch.ones(6))


@pytest.mark.parametrize("hyper", [{"betas": (0.9, 1.0)}, {"eps": -1.0}], ids=str)
def test_rejects_nonsense(hyper):
    with pytest.raises(UserError, match=next(iter(hyper))):
        lamb([{"params": [nn.Parameter(torch.ones(2, 2))]}], 1e-3, **hyper)
