import pytest
import torch
from torch import nn

from hf_strategies.errors import UserError
from hf_strategies.optimizers import create_optimizer
from hf_strategies.optimizers.library_classes import pytorch_optimizer_class

pytest.importorskip("pytorch_optimizer", reason="the family is that package's classes")


def create(name: str, **settings):
    return create_optimizer(f"pytorch_optimizer:{name}", nn.Linear(4, 3), **{"lr": 1e-3, **settings})


def test_a_class_is_found_by_its_name_in_any_case():
    assert type(create("Adan")).__name__ == type(create("adan")).__name__ == "Adan"


def test_groups_rate_and_settings_reach_it_and_decay_is_decoupled():
    optimizer = create("Adan", weight_decay=0.1, eps=1e-6)
    weights, biases = optimizer.param_groups
    assert (weights["weight_decay"], biases["weight_decay"]) == (0.1, 0.0)
    assert {group["lr"] for group in optimizer.param_groups} == {1e-3}
    assert (weights["eps"], weights["weight_decouple"]) == (1e-6, True)
    assert create("Adan", weight_decouple=False).param_groups[0]["weight_decouple"] is False


def test_a_group_without_a_decay_has_none_whatever_the_class_prefers():
    group = {"params": [nn.Parameter(torch.ones(2, 2))]}
    assert pytorch_optimizer_class("SOAP", [group], 1e-3).param_groups[0]["weight_decay"] == 0.0


@pytest.mark.parametrize(
    ("name", "settings", "complaint"),
    [
        ("Adann", {}, "pytorch_optimizer has no optimizer 'Adann', did you mean 'Adan'?"),
        ("Adan", {"beta": 1}, "pytorch_optimizer:Adan has no setting 'beta', did you mean 'betas'? (known: betas"),
        ("SOAP", {"cautious": True}, "pytorch_optimizer:SOAP has no setting 'cautious'"),  # it takes and drops it
        ("Adan", {"groups": []}, "pytorch_optimizer:Adan has no setting 'groups'"),
        ("Adan", {"params": []}, "pytorch_optimizer:Adan has no setting 'params'"),
        ("Adan", {"betas": (2.0, 0.9, 0.9)}, "pytorch_optimizer:Adan: "),
        ("A2Grad", {"weight_decay": 0.1}, "pytorch_optimizer:A2Grad has no weight decay: set weight_decay to 0"),
        ("Ranger21", {}, "num_iterations"),
        ("LBFGS", {}, "pytorch_optimizer:LBFGS needs a closure, which a Trainer does not give it"),
        ("BSAM", {"num_data": 8}, "needs a closure"),
        ("LOMO", {}, "needs a model"),
        ("AliG", {}, "needs to set its own learning rate"),
        ("SophiaH", {}, "needs hessian"),
        ("Muon", {}, "needs parameters marked use_muon"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(name, settings, complaint):
    with pytest.raises(UserError) as caught:
        create(name, **settings)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_it_trains():
    model = nn.Linear(4, 3)
    optimizer = create_optimizer("pytorch_optimizer:SignSGD", model, lr=0.1, weight_decay=0.1)
    before = model.weight.detach().clone()
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    torch.testing.assert_close(model.weight.detach(), before * 0.99 - 0.1)  # every gradient is positive
