"""Optimizers of libraries on FSDP2's shards: real processes, each with its part of every matrix."""

import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.errors import UserError
from hf_strategies.optimizers import create_optimizer
from hf_strategies.optimizers.clipping import clip_grads_adaptively_, find_units

RIGHT = ("sgd", "schedule_free_adamw", "ademamix")
REFUSED = ("adafactor", "soap", "adamw_8bit", "paged_adamw", "paged_adamw_8bit", "pytorch_optimizer:Adan")


def build() -> nn.Module:
    """Layers that two ranks cannot halve evenly; float64, in which the order of sums cannot hide a mistake."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 6)).double()


def shard(model: nn.Module) -> nn.Module:
    fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
    return model


def train(model: nn.Module, name: str) -> None:
    optimizer = create_optimizer(name, model, lr=0.1, weight_decay=0.1)
    for step in range(3):
        if hasattr(optimizer, "train"):
            optimizer.train()
        model((torch.arange(8) + step) % 9).square().mean().backward()
        clip_grads_adaptively_(find_units(model), 1e-2)
        optimizer.step()
        optimizer.zero_grad()
        if hasattr(optimizer, "eval"):
            optimizer.eval()


def compare_on_one_rank(rank: int, meeting_point: str) -> None:
    distributed.init_process_group("gloo", init_method=meeting_point, rank=rank, world_size=2)
    for name in RIGHT:
        whole, sharded = build(), shard(build())
        train(whole, name)
        train(sharded, name)
        for expected, shards in zip(whole.parameters(), sharded.parameters()):
            assert shards.to_local().numel() < expected.numel()
            torch.testing.assert_close(shards.full_tensor(), expected.detach(), msg=name)
    for name in REFUSED:
        with pytest.raises(UserError, match=f"{name} cannot train parameters sharded by FSDP2"):
            create_optimizer(name, shard(build()), lr=0.1)
    leave_process_group()


def test_two_ranks_train_as_one_process_does_or_refuse(forked_children, tmp_path):
    for package in ("schedulefree", "pytorch_optimizer", "bitsandbytes"):
        pytest.importorskip(package)
    multiprocessing.spawn(compare_on_one_rank, args=(f"file://{tmp_path / 'meeting_point'}",), nprocs=2)
