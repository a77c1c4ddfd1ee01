"""Parameter groups of wrapped models: real processes, each with its part of every parameter."""

import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from transformers import LlamaConfig, LlamaForCausalLM

from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.optimizers import create_optimizer
from hf_strategies.optimizers.group_table import GroupRow, describe_param_groups

SETTINGS = {"layerwise_lr_decay": 0.5, "rules": [{"pattern": r"^model\.layers\.0\.mlp", "weight_decay": 0.3}]}


def build() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"hidden_size": 6, "intermediate_size": 10, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=11, **sizes))


def table(model: nn.Module) -> list[GroupRow]:
    return describe_param_groups(create_optimizer("muon", model, lr=0.1, weight_decay=0.1, param_groups=SETTINGS))


def compare_on_one_rank(rank: int, meeting_point: str) -> None:
    distributed.init_process_group("gloo", init_method=meeting_point, rank=rank, world_size=2)
    whole, sharded = build(), build()
    for layer in sharded.model.layers:
        fully_shard(layer, mesh=init_device_mesh("cpu", (2,)))
    fully_shard(sharded, mesh=init_device_mesh("cpu", (2,)))
    assert sharded.lm_head.weight.to_local().numel() < whole.lm_head.weight.numel()
    assert len(table(whole)) > 6
    assert table(sharded) == table(whole)
    assert table(DistributedDataParallel(whole)) == table(whole)
    leave_process_group()


def test_wrapping_and_sharding_change_no_group(forked_children, tmp_path):
    multiprocessing.spawn(compare_on_one_rank, args=(f"file://{tmp_path / 'meeting_point'}",), nprocs=2)
