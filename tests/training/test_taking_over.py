"""State between one process and shards of FSDP2, on real processes: training goes on as if it had never stopped."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import distributed, multiprocessing, nn
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.state_dict import get_model_state_dict, get_optimizer_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from hf_strategies.checkpoints.sharded_state import MODEL, OPTIMIZER, ShardedState
from hf_strategies.checkpoints.whole_state import WholeState
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.errors import UserError
from hf_strategies.module_tree.names import named_parameters
from hf_strategies.training.taking_over import take_optimizer, take_weights


class Net(nn.Module):
    """Float64, in which the order of sums hides no mistake; sizes that two and three ranks cannot share evenly."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embed, self.inner, self.head = nn.Embedding(7, 5), nn.Linear(5, 5), nn.Linear(5, 7, bias=False)
        self.head.weight = self.embed.weight
        self.inner.bias.requires_grad_(False)
        self.register_buffer("mean", torch.full((3,), float(seed)))
        self.double()

    def forward(self, ids):
        return self.head(torch.tanh(self.inner(self.embed(ids)))) + self.mean.sum()


def build_optimizer(model: nn.Module) -> torch.optim.AdamW:
    groups = [
        {"params": [model.inner.weight], "weight_decay": 0.3, "name": "decayed"},
        {"params": [model.embed.weight], "weight_decay": 0.0, "name": "spared"},
    ]
    return torch.optim.AdamW(groups, lr=0.1)


def advance(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        model((torch.arange(6) + step) % 7).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def straight(steps: int) -> tuple[Net, torch.optim.Optimizer]:
    model = Net(seed=0)
    optimizer = build_optimizer(model)
    advance(model, optimizer, range(steps))
    return model, optimizer


def names_of(model: nn.Module) -> dict[int, str]:
    return {id(param): name for name, param in named_parameters(model).items()}


def check_end(model: nn.Module) -> None:
    expected, _ = straight(4)
    for (name, value), right in zip(model.state_dict().items(), expected.state_dict().values(), strict=True):
        whole = value.full_tensor() if hasattr(value, "full_tensor") else value
        torch.testing.assert_close(whole, right, msg=name)


def go_on(model: nn.Module, state) -> None:
    take_weights(model, state)
    optimizer = build_optimizer(model)
    take_optimizer(optimizer, names_of(model), state)
    advance(model, optimizer, range(2, 4))
    check_end(model)


def save_as_accelerate_does(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/two", rank=rank, world_size=2)
    model = fully_shard(Net(seed=0), mesh=init_device_mesh("cpu", (2,)))
    optimizer = build_optimizer(model)
    advance(model, optimizer, range(2))
    parts = {MODEL: {"model": get_model_state_dict(model)}}
    parts[OPTIMIZER] = {"optimizer": get_optimizer_state_dict(model, optimizer)}
    for name, state in parts.items():
        dcp.save(state, storage_writer=dcp.FileSystemWriter(Path(folder, name)))
    leave_process_group()


def go_on_with_three(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/three", rank=rank, world_size=3)
    mesh = init_device_mesh("cpu", (3,))
    go_on(fully_shard(Net(seed=1), mesh=mesh), ShardedState(Path(folder)))
    go_on(fully_shard(Net(seed=1), mesh=mesh), WholeState(Path(folder, "whole"), [["inner.weight"], ["embed.weight"]]))
    leave_process_group()


@pytest.fixture
def whole(tmp_path) -> Path:
    """What one process writes after two updates."""
    model, optimizer = straight(2)
    folder = tmp_path / "whole"
    folder.mkdir()
    weights = {name: value for name, value in model.state_dict().items() if name != "head.weight"}
    save_file(weights, folder / "model.safetensors")
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    return folder


def test_two_ranks_of_shards_go_on_as_three_and_as_one_and_one_process_as_three(whole, forked_children, tmp_path):
    multiprocessing.spawn(save_as_accelerate_does, args=(str(tmp_path),), nprocs=2)
    go_on(Net(seed=1), ShardedState(tmp_path))
    multiprocessing.spawn(go_on_with_three, args=(str(tmp_path),), nprocs=3)


def test_other_groups_and_other_weights_are_refused_in_a_line(whole):
    with pytest.raises(UserError, match=r"groups are of \[1, 1\] parameters, this one's of \[2\]"):
        WholeState(whole, [["inner.weight", "embed.weight"]])
    state = WholeState(whole, [["inner.weight"], ["embed.weight"]])
    model = Net(seed=1)
    optimizer = torch.optim.AdamW([{"params": [model.inner.weight], "name": "matrices"}])
    with pytest.raises(UserError, match=r"groups are \['decayed', 'spared'\], this one's \['matrices'\]"):
        take_optimizer(optimizer, names_of(model), state)
    model.inner = nn.Linear(4, 5).double()
    with pytest.raises(UserError, match=r"lacks 1 of its weights, or has them in another shape \(inner.weight\)"):
        take_weights(model, state)


def test_state_of_another_shape_than_its_weight_is_refused(whole):
    stored = torch.load(whole / "optimizer.pt")
    stored["state"][0]["row"] = torch.zeros(5, dtype=torch.float64)
    torch.save(stored, whole / "optimizer.pt")
    model = Net(seed=1)
    with pytest.raises(UserError, match=r"keeps row \(5,\) for a weight \(5, 5\): what is not of its shape cannot be"):
        go_on(model, WholeState(whole, [["inner.weight"], ["embed.weight"]]))
