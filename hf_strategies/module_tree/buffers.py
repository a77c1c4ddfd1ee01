"""The buffers of a model that are part of what it has learned, such as a batch norm's running statistics."""

from collections.abc import Iterator
from typing import Any

from torch import nn


def saved_buffers(model: nn.Module) -> Iterator[tuple[str, Any, str]]:
    """Yield the full name, the module and the name there of each buffer that a checkpoint holds."""
    for prefix, module in model.named_modules():
        for name, buffer in module._buffers.items():
            if buffer is not None and name not in module._non_persistent_buffers_set:
                yield f"{prefix}.{name}".removeprefix("."), module, name
