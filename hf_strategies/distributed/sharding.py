"""What of a model's weights is on this rank."""

from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.tensor import DTensor, distribute_tensor


def is_sharded(model: nn.Module) -> bool:
    """Tell whether using `model` takes all ranks: they share its weights by ZeRO-3, FSDP, tensors or stages."""
    return isinstance(model, FullyShardedDataParallel) or any(
        isinstance(param, DTensor) or hasattr(param, "ds_shape") or param.is_meta for param in model.parameters()
    )


def local(tensor: Tensor) -> Tensor:
    """Return this rank's part of a tensor, sharing its memory."""
    tensor = tensor.detach()
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def shard_like(value: Tensor, tensor: Tensor) -> Tensor:
    """Share out a tensor that all ranks have whole as another one is shared; nothing is sent."""
    if not isinstance(tensor, DTensor):
        return value
    return distribute_tensor(value, tensor.device_mesh, tensor.placements, src_data_rank=None)
