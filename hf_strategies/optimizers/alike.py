"""Which tensors can be updated together: torch's functions over lists take only what is alike."""

from collections import defaultdict
from collections.abc import Hashable, Iterable

from torch import Tensor
from torch.distributed.tensor import DTensor


def kind_of(tensor: Tensor) -> tuple[Hashable, ...]:
    """Return what the tensors of one list share: device, dtype and, where they are sharded, how."""
    sharding = (tensor.device_mesh, tensor.placements) if isinstance(tensor, DTensor) else ()
    return (tensor.device, tensor.dtype, *sharding)


def group_alike(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Put tensors into lists of one kind each, in the order in which the kinds appear."""
    alike: dict[Hashable, list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        alike[kind_of(tensor)].append(tensor)
    return list(alike.values())
