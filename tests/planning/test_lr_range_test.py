import copy
import math
import random

import numpy as np
import pytest
import torch
from transformers import PrinterCallback, Trainer

from hf_strategies import OPTIMIZERS, OptimizerFactory, StrategyTrainer
from hf_strategies.errors import UserError
from hf_strategies.planning.lr_range_test import lr_range_test
from hf_strategies.training.guard import GuardOptions

SHORT = {"num_warm_steps": 2, "num_steps": 10, "max_lr": 0.1}


@pytest.fixture
def build(tiny_lm, token_rows, arguments):
    """Build a trainer over the tiny model; a dropout draws random numbers."""

    def make(kind=Trainer, optimizer=("adamw", {"lr": 1e-3}), strategy=None, **changes):
        tiny_lm.config.attention_dropout = 0.1
        name, hyper = optimizer
        trainer = kind(
            tiny_lm,
            arguments(**changes),
            train_dataset=token_rows,
            optimizer_cls_and_kwargs=(OptimizerFactory, {"name": name, **hyper}),
            **(strategy or {}),
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    return make


def draws() -> tuple:
    return random.random(), np.random.rand(), torch.rand(3).tolist()


def test_weights_optimizer_random_streams_mode_and_gradients_are_as_they_were_to_the_bit(build):
    trainer = build(StrategyTrainer, strategy={"scheduler": "linear"})
    trainer.train()
    model = trainer.model
    model.eval()
    model.model.layers[0].train()
    model.lm_head.weight.grad = torch.ones_like(model.lm_head.weight)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = {name: module.training for name, module in model.named_modules()}
    optimizer, moments = trainer.optimizer, copy.deepcopy(trainer.optimizer.state_dict())
    schedule = copy.deepcopy(trainer.lr_scheduler.state_dict())
    state, args, forward = copy.deepcopy(trainer.state), trainer.args, model.forward
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    expected = draws()
    random.seed(5), np.random.seed(5), torch.manual_seed(5)

    lr_range_test(trainer, **SHORT)

    assert draws() == expected
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert torch.equal(model.lm_head.weight.grad, torch.ones_like(model.lm_head.weight))
    assert trainer.optimizer is optimizer
    for number, before in moments["state"].items():
        for name, value in optimizer.state_dict()["state"][number].items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(before[name]))
    assert optimizer.state_dict()["param_groups"] == moments["param_groups"]
    assert trainer.lr_scheduler.state_dict() == schedule
    assert (trainer.state, trainer.args, model.forward) == (state, args, forward)


@pytest.mark.parametrize("precision", [{}, {"bf16": True}], ids=["float32", "bf16"])
def test_a_run_after_a_test_is_the_run_without_one(build, tiny_lm, precision):
    start = copy.deepcopy(tiny_lm.state_dict())
    losses = []
    for tested in (False, True):
        tiny_lm.load_state_dict(start)
        torch.manual_seed(3)
        trainer = build(StrategyTrainer, strategy={"scheduler": "linear"}, gradient_accumulation_steps=2, **precision)
        if tested:
            lr_range_test(trainer, **SHORT)
        trainer.train()
        losses.append([row["loss"] for row in trainer.state.log_history if "loss" in row])
    assert len(losses[0]) == 4
    assert losses[0] == losses[1]


def test_a_buffer_that_training_puts_another_tensor_in_the_place_of_is_the_one_before(build, tiny_lm):
    tiny_lm.register_buffer("count", torch.zeros(()))
    before = tiny_lm.count

    def count(module: torch.nn.Module, *_: object) -> None:
        module.count = module.count + 1

    tiny_lm.register_forward_pre_hook(count)
    lr_range_test(build(), **SHORT)
    assert tiny_lm.count is before
    assert before == 0


def test_weights_come_back_when_training_fails(build, monkeypatch):
    trainer = build()
    weights = copy.deepcopy(trainer.model.state_dict())
    trainer.data_collator = lambda _: 1 / 0
    with pytest.raises(ZeroDivisionError):
        lr_range_test(trainer, **SHORT)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in trainer.model.state_dict().items())
    assert trainer.optimizer is None


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_every_optimizer_on_the_shelf_is_tested_and_finds_the_loss_lower_on_the_way(build, name):
    if package := OPTIMIZERS[name].facts.get("package"):
        pytest.importorskip(package)
    test = lr_range_test(
        build(optimizer=(name, {"lr": 1e-3})), min_lr=1e-5, max_lr=0.3, num_warm_steps=4, num_steps=24
    )
    assert len(test.losses) <= len(test.rates) == 24
    assert min(test.smoothed()) < test.losses[0] - 0.02  # of random tokens, whose loss can fall by little


def test_rates_rise_by_equal_factors_and_every_group_keeps_its_ratio(build):
    seen = []

    class Watching(StrategyTrainer):
        def training_step(self, *args, **kwargs):
            seen.append([group["lr"] for group in self.optimizer.param_groups])
            return super().training_step(*args, **kwargs)

    trainer = build(Watching, optimizer=("muon", {"lr": 2e-3, "adamw_lr": 6e-3}))
    test = lr_range_test(trainer, min_lr=1e-5, max_lr=1e-3, num_warm_steps=3, num_steps=11)
    assert test.rates[0] == pytest.approx(1e-5)
    assert test.rates[5] == pytest.approx(1e-4)  # half of two decades
    assert test.rates[10] == pytest.approx(1e-3)
    expected = [1e-5] * 3 + list(test.rates)
    assert [min(rates) for rates in seen] == pytest.approx(expected)
    assert [max(rates) for rates in seen] == pytest.approx([3 * rate for rate in expected])


def test_a_test_ends_once_the_loss_has_diverged(build):
    test = lr_range_test(build(optimizer=("adamw", {"lr": 1e-3})), max_lr=1e6, num_warm_steps=0, num_steps=40)
    assert len(test.losses) < 40
    assert min(test.losses[-3:]) > max(test.losses[:10]) or not math.isfinite(test.losses[-1])


def test_the_step_guard_stands_aside_and_is_back_afterwards(build, tmp_path):
    losses = []
    for guard in (GuardOptions(), None):
        trainer = build(StrategyTrainer, strategy={"guard": guard})
        losses.append(lr_range_test(trainer, min_lr=1e-4, max_lr=100.0, num_warm_steps=10, num_steps=40).losses)
        assert trainer.guard_options is guard
    assert losses[0] == losses[1]  # on its way to infinity
    assert not list(tmp_path.rglob("incident-*.json"))


def test_a_loss_that_was_never_finite_is_the_users_to_know(build):
    trainer = build(optimizer=("adamw", {"lr": 1e-3, "weight_decay": 50.0}))
    weights = copy.deepcopy(trainer.model.state_dict())
    # Decay at a rate of 5 multiplies weights by 1 - 5 * 50 in every update: none is finite after 17 of them.
    with pytest.raises(UserError, match="no finite loss: it has diverged at its lowest rate, 5; lower min"):
        lr_range_test(trainer, min_lr=5.0, max_lr=10.0, num_warm_steps=20, num_steps=10)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in trainer.model.state_dict().items())


def test_one_seed_gives_the_same_losses_and_another_gives_others(build):
    trainer = build()
    first, again, other = (lr_range_test(trainer, seed=seed, **SHORT).losses for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"min_lr": 0.0}, "needs 0 < min < max, got min 0 and max 1"),
        ({"min_lr": 1.0, "max_lr": 0.1}, "got min 1 and max 0.1"),
        ({"num_warm_steps": -1}, "warm_steps must be at least 0, got -1"),
        ({"num_steps": 9}, "steps must be at least 10, got 9"),
    ],
)
def test_what_is_no_range_is_refused(build, wrong, said):
    with pytest.raises(UserError, match=said):
        lr_range_test(build(), **wrong)
