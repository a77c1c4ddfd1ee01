"""What every mixin of this room extends: some Trainer, which one is its user's choice."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import Trainer as Host
else:
    Host = object

__all__ = ["Host"]
