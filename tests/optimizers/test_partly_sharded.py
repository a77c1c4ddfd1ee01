"""Sharded layers beside whole ones, as in a model of which only some layers are given to FSDP2: real processes."""

import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.errors import UserError
from hf_strategies.optimizers import create_optimizer
from hf_strategies.optimizers.alike import group_alike
from hf_strategies.optimizers.lion import lion_update_, lion_updates_

RIGHT = ("adamw", "lamb", "lion", "muon", "sgd")
REFUSED = ("ademamix", "schedule_free_adamw")


def build() -> nn.Module:
    """Two layers of one shape, which Muon would update together; float64, so that no order of sums hides a mistake."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6)).double()


def shard_one_layer(model: nn.Module) -> nn.Module:
    fully_shard(model[1], mesh=init_device_mesh("cpu", (2,)))
    return model


def train(model: nn.Module, name: str) -> None:
    optimizer = create_optimizer(name, model, lr=0.1, weight_decay=0.1)
    for step in range(3):
        model((torch.arange(8) + step) % 9).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


@torch.no_grad()
def lists_step_as_tensors_do() -> None:
    """Lion's lists, which it makes off the CPU alone."""
    params = list(shard_one_layer(build()).parameters())
    twins = [param.detach().clone() for param in params]
    hyper = {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.3}
    for alike in group_alike(params):
        lion_updates_(alike, [-param for param in alike], list(map(torch.ones_like, alike)), **hyper)
    for param, twin in zip(params, twins, strict=True):
        lion_update_(twin, -twin, torch.ones_like(twin), **hyper)
        torch.testing.assert_close(param.detach(), twin)


def compare_on_one_rank(rank: int, meeting_point: str) -> None:
    distributed.init_process_group("gloo", init_method=meeting_point, rank=rank, world_size=2)
    for name in RIGHT:
        whole, partly = build(), shard_one_layer(build())
        train(whole, name)
        train(partly, name)
        kinds = set()
        for expected, param in zip(whole.parameters(), partly.parameters()):
            kinds.add(isinstance(param, DTensor))
            param = param.full_tensor() if isinstance(param, DTensor) else param
            torch.testing.assert_close(param.detach(), expected.detach(), msg=name)
        assert kinds == {True, False}
    lists_step_as_tensors_do()
    for name in REFUSED:
        with pytest.raises(UserError, match=f"^{name} cannot train sharded and whole parameters together"):
            create_optimizer(name, shard_one_layer(build()), lr=0.1)
    leave_process_group()


def test_two_ranks_train_as_one_process_does_or_refuse(forked_children, tmp_path):
    for package in ("schedulefree", "pytorch_optimizer"):
        pytest.importorskip(package)
    multiprocessing.spawn(compare_on_one_rank, args=(f"file://{tmp_path / 'meeting_point'}",), nprocs=2)
