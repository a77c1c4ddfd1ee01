import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.optimizers import lion
from hf_strategies.optimizers.lion import Lion, lion_update_, lion_updates_


def textbook_lion(param, grad, momentum, *, lr, betas, weight_decay):
    """The paper's update, spelled out with fresh tensors and no in-place tricks."""
    blended = betas[0] * momentum + (1 - betas[0]) * grad
    return param - lr * (blended.sign() + weight_decay * param), betas[1] * momentum + (1 - betas[1]) * grad


def test_matches_the_textbook_update():
    generator = torch.Generator().manual_seed(0)
    expected = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    param, momentum = torch.nn.Parameter(expected.clone()), torch.zeros_like(expected)
    hyper = {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.3}
    optimizer = Lion([param], **hyper)
    for _ in range(20):
        grad = torch.randn(5, 3, dtype=torch.float64, generator=generator)
        param.grad = grad.clone()
        optimizer.step()
        expected, momentum = textbook_lion(expected, grad, momentum, **hyper)
        torch.testing.assert_close(param.detach(), expected)
        torch.testing.assert_close(param.grad, grad)  # the gradient belongs to the caller


@pytest.mark.parametrize(
    ("hyper", "complaint"), [({"lr": -1.0}, "lr must"), ({"lr": 0.1, "betas": (0.9, 1.0)}, "betas must")]
)
def test_rejects_nonsense(hyper, complaint):
    with pytest.raises(UserError, match=complaint):
        Lion([torch.nn.Parameter(torch.zeros(1))], **hyper)


def test_lists_are_updated_as_tensors_are():
    torch.manual_seed(0)
    shapes, hyper = [(5, 3), (7,), (2, 2, 2)], {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.3}
    params, grads, momenta = ([torch.randn(shape) for shape in shapes] for _ in range(3))
    expected = [(param.clone(), momentum.clone()) for param, momentum in zip(params, momenta)]
    for (param, momentum), grad in zip(expected, grads):
        lion_update_(param, grad, momentum, **hyper)
    before = [grad.clone() for grad in grads]
    lion_updates_(params, grads, momenta, **hyper)
    for param, momentum, (param_expected, momentum_expected) in zip(params, momenta, expected, strict=True):
        assert torch.equal(param, param_expected)
        assert torch.equal(momentum, momentum_expected)
    assert all(map(torch.equal, grads, before))


def test_off_the_cpu_all_of_one_kind_is_one_list(monkeypatch):
    lists = []
    monkeypatch.setattr(lion, "lion_updates_", lambda params, *_, **__: lists.append(len(params)))
    dtypes = (torch.float32, torch.bfloat16, torch.float32)
    params = [torch.nn.Parameter(torch.zeros(3, device="meta", dtype=dtype)) for dtype in dtypes]
    for param in params:
        param.grad = torch.zeros_like(param)
    lion.Lion([*params, torch.nn.Parameter(torch.zeros(3, device="meta"))], lr=0.1).step()  # the last has no gradient
    assert lists == [2, 1]
