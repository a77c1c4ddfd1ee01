"""Whether a model's weights are whole on this rank."""

from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.tensor import DTensor


def is_sharded(model: nn.Module) -> bool:
    """Tell whether using `model` takes all ranks: ZeRO-3, FSDP or tensor parallelism has partitioned its weights."""
    return isinstance(model, FullyShardedDataParallel) or any(
        isinstance(param, DTensor) or hasattr(param, "ds_shape") for param in model.parameters()
    )
