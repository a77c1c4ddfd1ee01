from dataclasses import replace

import pytest
import torch
from torch import nn

from hf_strategies.errors import UserError
from hf_strategies.optimizers import OPTIMIZERS, OptimizerFactory, create_optimizer


def test_weights_decay_and_biases_do_not():
    optimizer = create_optimizer("lion", nn.Linear(4, 3), lr=1e-3, weight_decay=0.1)
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(1e-3, 0.1), (1e-3, 0.0)]


def test_the_host_gets_the_same_optimizer_from_the_factory_object():
    model = nn.Linear(4, 3)
    optimizer = OptimizerFactory()(model, name="adamw", lr=1e-3, weight_decay=0.1, betas=(0.8, 0.9))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)


def test_groups_are_part_of_the_specification():
    model = nn.ModuleDict({"body": nn.Linear(4, 4, bias=False), "head": nn.Linear(4, 2, bias=False)})
    settings = {"rules": [{"pattern": "head", "lr_scale": 10}]}
    optimizer = OptimizerFactory()(model, name="lion", lr=1e-3, param_groups=settings)
    assert [(group["params"], group["lr"]) for group in optimizer.param_groups] == [
        ([model["body"].weight], 1e-3),
        ([model["head"].weight], 1e-2),
    ]
    assert optimizer.defaults["lr"] == 1e-3


@pytest.mark.parametrize("settings", [{"layer_decay": 0.5}, {"rules": [{"pattern": "haed", "lr": 1.0}]}], ids=str)
def test_groups_that_are_wrong_or_do_not_fit_are_refused(settings):
    with pytest.raises(UserError, match="param_groups"):
        create_optimizer("adamw", nn.Linear(4, 3), lr=1e-3, param_groups=settings)


@pytest.mark.parametrize(("adamw_lr", "rest"), [(3e-2, 3e-2), (None, 1e-2), (0.0, 0.0)])
def test_the_two_halves_get_their_rates_in_their_groups(adamw_lr, rest):
    optimizer = create_optimizer("muon", nn.Linear(4, 3), lr=1e-2, adamw_lr=adamw_lr)
    assert [(group["matrix"], group["lr"]) for group in optimizer.param_groups] == [(True, 1e-2), (False, rest)]


def leave_out_the_last(groups, lr):
    return torch.optim.SGD(groups[:-1], lr=lr)


def test_an_optimizer_that_would_leave_something_untrained_is_refused(monkeypatch):
    entry = replace(OPTIMIZERS["adamw"], target=leave_out_the_last)
    monkeypatch.setitem(OPTIMIZERS._entries, "adamw", entry)
    with pytest.raises(UserError, match="'adamw' owns bias 0 times, expected once"):
        create_optimizer("adamw", nn.Linear(4, 3), lr=1e-3)


def test_a_saved_optimizer_reads_back_without_code(tmp_path):
    optimizer = create_optimizer("muon", nn.Linear(4, 3), lr=1e-2)
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    saved = torch.load(tmp_path / "optimizer.pt", weights_only=True)
    assert [group["name"] for group in saved["param_groups"]] == ["matrices", "vectors"]


def test_a_wholly_frozen_model_is_refused():
    model = nn.Linear(4, 3).requires_grad_(False)
    with pytest.raises(UserError, match="'adamw' has nothing to train: every parameter of Linear is frozen"):
        create_optimizer("adamw", model, lr=1e-3)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"weight_decay": 1e3}, r"weight_decay of group 'weights' must take less than all .* got 1 of it at the rate"),
        ({"weight_decay": 1.0, "decay": "independent"}, "got 1 of it"),
        ({"param_groups": {"rules": [{"pattern": "weight", "lr": 5, "weight_decay": 0.3}]}}, "got 1.5 of it"),
        ({"param_groups": {"rules": [{"pattern": "weight", "lr_scale": 1e5}]}}, r"must be a number in \[0, 10\], got"),
    ],
    ids=str,
)
def test_what_groups_would_make_absurd_is_refused(settings, complaint):
    with pytest.raises(UserError, match=complaint):
        create_optimizer("adamw", nn.Linear(4, 3), lr=1e-3, **settings)


def test_independent_decay_may_be_any_share_of_a_weight():
    create_optimizer("adamw", nn.Linear(4, 3), lr=5.0, weight_decay=0.9, decay="independent")


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"lr": 1e9}, {"weight_decay": -1.0}, {"beta": (0.9, 0.95)}], ids=str)
def test_a_wrong_value_or_word_never_reaches_an_optimizer(wrong):
    with pytest.raises(UserError):
        create_optimizer("adamw", nn.Linear(4, 3), **{"lr": 1e-3, **wrong})
