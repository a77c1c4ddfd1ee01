import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.optimizers.lion import Lion


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
