"""LAMB on shards: real processes, each with its part of every tensor."""

import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.optimizers import create_optimizer


def build() -> nn.Module:
    """Layers that two ranks cannot halve evenly; float64, in which the order of sums cannot hide a mistake."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 6)).double()


def train(model: nn.Module) -> None:
    optimizer = create_optimizer("lamb", model, lr=0.1, weight_decay=0.1)
    for step in range(3):
        model((torch.arange(8) + step) % 9).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def compare_on_one_rank(rank: int, meeting_point: str) -> None:
    distributed.init_process_group("gloo", init_method=meeting_point, rank=rank, world_size=2)
    whole, sharded = build(), build()
    fully_shard(sharded, mesh=init_device_mesh("cpu", (2,)))
    train(whole)
    train(sharded)
    for expected, shards in zip(whole.parameters(), sharded.parameters()):
        assert shards.to_local().numel() < expected.numel()
        torch.testing.assert_close(shards.full_tensor(), expected.detach())
    leave_process_group()


def test_two_ranks_with_sharded_tensors_train_as_one_process_does(forked_children, tmp_path):
    multiprocessing.spawn(compare_on_one_rank, args=(f"file://{tmp_path / 'meeting_point'}",), nprocs=2)
