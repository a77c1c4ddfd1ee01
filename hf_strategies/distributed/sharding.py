"""What of a model's weights is on this rank."""

from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.tensor import DTensor


def is_sharded(model: nn.Module) -> bool:
    """Tell whether using `model` takes all ranks: ZeRO-3, FSDP or tensor parallelism has partitioned its weights."""
    return isinstance(model, FullyShardedDataParallel) or any(
        isinstance(param, DTensor) or hasattr(param, "ds_shape") for param in model.parameters()
    )


def local(tensor: Tensor) -> Tensor:
    """Return this rank's part of a tensor, sharing its memory."""
    tensor = tensor.detach()
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
