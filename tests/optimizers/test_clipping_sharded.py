"""Clipping on FSDP2's shards, also beside whole parameters: real processes, each with its part of every gradient."""

import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grad_norm_

from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.optimizers.clipping import clip_grads_adaptively_, clip_grads_by_value_, find_units

CLIPPINGS = {
    "norm": lambda model: clip_grad_norm_(model.parameters(), 0.1),
    "value": lambda model: clip_grads_by_value_(model, 0.01),
    "adaptive": lambda model: clip_grads_adaptively_(find_units(model), 0.01),
}


def build() -> nn.Module:
    """Layers that two ranks cannot halve evenly; float64, in which the order of sums cannot hide a mistake."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 5)).double()


def gradients(model: nn.Module, clipping: str) -> list[torch.Tensor]:
    (10 * model(torch.arange(8))).square().mean().backward()
    if clipping:
        CLIPPINGS[clipping](model)
    return [
        param.grad.full_tensor() if isinstance(param.grad, DTensor) else param.grad for param in model.parameters()
    ]


def compare_on_one_rank(rank: int, meeting_point: str) -> None:
    distributed.init_process_group("gloo", init_method=meeting_point, rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    for clipping in CLIPPINGS:
        expected, unclipped = gradients(build(), clipping), gradients(build(), "")
        assert not any(map(torch.equal, expected[:3], unclipped[:3])), clipping
        everywhere = build()
        fully_shard(everywhere, mesh=mesh)
        torch.testing.assert_close(gradients(everywhere, clipping), expected, msg=clipping)
        if clipping != "norm":  # which torch refuses there; the host takes the norms of both kinds apart
            partly = build()
            fully_shard(partly[1], mesh=mesh)
            torch.testing.assert_close(gradients(partly, clipping), expected, msg=clipping)
    leave_process_group()


def test_two_ranks_clip_as_one_process_does(forked_children, tmp_path):
    multiprocessing.spawn(compare_on_one_rank, args=(f"file://{tmp_path / 'meeting_point'}",), nprocs=2)
