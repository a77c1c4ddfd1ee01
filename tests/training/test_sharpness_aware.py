import contextlib
import copy
from functools import partial

import pytest
import torch
from torch import nn
from transformers import TrainerCallback

from hf_strategies.errors import UserError
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.sharpness_aware import climb_, sharpness_aware_pass


def textbook_gradient(model, loss_of, rho):
    """Algorithm 1 on a copy: climb by rho along the normalised gradient, and take the gradient there."""
    uphill = copy.deepcopy(model)
    params = [param for param in uphill.parameters() if param.requires_grad]
    grads = torch.autograd.grad(loss_of(uphill), params)
    norm = torch.sqrt(sum(grad.square().sum() for grad in grads))
    with torch.no_grad():
        for param, grad in zip(params, grads):
            param.add_(rho * grad / norm)
    return torch.autograd.grad(loss_of(uphill), params)


def test_a_quadratics_gradient_is_that_at_the_point_uphill():
    weight = nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))

    def backward():
        loss = weight.square().sum() / 2
        loss.backward()
        return loss.detach()

    loss = sharpness_aware_pass([weight], backward, rho=0.5, alone=contextlib.nullcontext())
    # The gradient is the weight itself, 5 long: 0.5 uphill it is 5.5 long.
    torch.testing.assert_close(weight.grad, torch.tensor([3.3, 4.4], dtype=torch.float64))
    assert weight.tolist() == [3.0, 4.0]
    assert loss == 12.5


def test_a_gradient_of_zero_moves_nothing():
    weight = torch.ones(2)
    climb_([weight], [torch.zeros(2)], rho=0.1)
    assert weight.tolist() == [1.0, 1.0]


def test_weights_and_accumulated_gradients_come_back_when_the_second_pass_fails():
    weight = nn.Parameter(torch.rand(100))
    before, accumulated = weight.detach().clone(), torch.rand(100)
    weight.grad = accumulated.clone()
    passes = iter([None, KeyboardInterrupt])

    def backward():
        failure = next(passes)
        if failure:
            raise failure
        weight.square().sum().backward()
        return torch.zeros(())

    with pytest.raises(KeyboardInterrupt):
        sharpness_aware_pass([weight], backward, rho=0.5, alone=contextlib.nullcontext())
    assert torch.equal(weight, before)
    assert torch.equal(weight.grad, accumulated)


def test_dropout_is_drawn_once_for_both_passes():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.Dropout(0.5), nn.Linear(64, 1)).double()
    inputs = torch.randn(4, 8, dtype=torch.float64)
    start = torch.get_rng_state()

    def loss_of(network):
        torch.set_rng_state(start)
        return network(inputs).square().mean()

    expected = textbook_gradient(model, loss_of, 0.1)
    torch.set_rng_state(start)

    def backward():
        loss = model(inputs).square().mean()
        loss.backward()
        return loss.detach()

    sharpness_aware_pass(model.parameters(), backward, rho=0.1, alone=contextlib.nullcontext())
    after = torch.get_rng_state()
    for param, grad in zip(model.parameters(), expected):
        torch.testing.assert_close(param.grad, grad)
    loss_of(model)
    assert torch.equal(after, torch.get_rng_state())


class KeepGradients(TrainerCallback):
    """Keep every weight's gradient before each update."""

    def __init__(self) -> None:
        self.updates: list[list[torch.Tensor]] = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.updates.append([param.grad.clone() for param in model.parameters() if param.grad is not None])


@pytest.mark.parametrize("precision", [{}, {"bf16": True}], ids=["float32", "autocast"])
def test_updates_in_a_trainer_are_the_textbooks(tiny_lm, token_rows, arguments, precision):
    """Three updates of two micro-batches each, on a model of which a part is frozen."""
    tiny_lm.model.layers[0].requires_grad_(False)
    reference = copy.deepcopy(tiny_lm)
    args = arguments(
        max_steps=3, gradient_accumulation_steps=2, per_device_train_batch_size=4, optim="sgd", learning_rate=0.5,
        max_grad_norm=0, lr_scheduler_type="constant", **precision,
    )  # fmt: skip
    keep = KeepGradients()
    args.train_sampling_strategy = "sequential"
    trainer = StrategyTrainer(tiny_lm, args, train_dataset=token_rows, sam_rho=0.5, callbacks=[keep])
    trainer.train()

    ids = torch.stack([row["input_ids"] for row in token_rows])
    for update in range(3):
        micro_batches = ids[update * 8 :][:8].split(4)

        def loss_of(model, rows):
            with torch.autocast("cpu", torch.bfloat16, enabled=bool(precision)):
                return model(input_ids=rows, labels=rows).loss / 2

        passes = [textbook_gradient(reference, partial(loss_of, rows=rows), 0.5) for rows in micro_batches]
        trained = [param for param in reference.parameters() if param.requires_grad]
        for param, seen, *grads in zip(trained, keep.updates[update], *passes, strict=True):
            torch.testing.assert_close(seen, sum(grads), rtol=1e-4, atol=1e-6)
            param.data.sub_(sum(grads), alpha=0.5)
    for ours, theirs in zip(tiny_lm.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_loss_that_is_logged_is_the_one_at_the_weights(tiny_lm, token_rows, arguments):
    def first_loss(**options):
        trainer = StrategyTrainer(copy.deepcopy(tiny_lm), arguments(max_steps=1), train_dataset=token_rows, **options)
        trainer.train()
        return trainer.state.log_history[0]["loss"]

    assert first_loss(sam_rho=5.0) == first_loss()


@pytest.mark.parametrize("rho", [0.0, -1.0, float("nan"), float("inf"), 1e308])
def test_an_absurd_radius_is_refused(rho, tiny_lm, arguments):
    with pytest.raises(UserError, match="sam_rho must be a number above 0 and at most 10, got"):
        StrategyTrainer(tiny_lm, arguments(), sam_rho=rho)
