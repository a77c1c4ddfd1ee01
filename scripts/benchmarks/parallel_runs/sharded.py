"""The training scripts with a model that FSDP2 shards over processes on a CPU, which accelerate refuses to do.

`SHARDED` names the script. The host shards what it loads from a folder, so a new model goes through one.
"""

import importlib
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from torch import distributed
from transformers import PreTrainedModel
from transformers.distributed import DistributedConfig

VARIABLE = "SHARDED"


def shard(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model with the same weights, each rank with its share of them."""
    folders: list[Any] = [tempfile.mkdtemp() if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(folders)
    if distributed.get_rank() == 0:
        model.save_pretrained(folders[0])
    distributed.barrier()
    everywhere = DistributedConfig(fsdp_size=distributed.get_world_size())
    return type(model).from_pretrained(folders[0], distributed_config=everywhere)


def main(argv: Sequence[str] | None = None) -> Any:
    """Be the script, and shard the model that it makes."""
    from hf_strategies.runs import language_model, tuned_model

    create, load = language_model.create_model, tuned_model.load_with_new_head

    def create_sharded(*args: Any, **kwargs: Any) -> PreTrainedModel:
        return shard(create(*args, **kwargs))

    def load_sharded(*args: Any, **kwargs: Any) -> tuple[PreTrainedModel, list[str]]:
        model, missing = load(*args, **kwargs)
        return shard(model), missing

    language_model.create_model, tuned_model.load_with_new_head = create_sharded, load_sharded
    script: Callable[..., Any] = importlib.import_module(os.environ[VARIABLE]).main
    return script(argv)
