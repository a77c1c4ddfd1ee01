"""What a checkpoint holds of a model in training, by the names of parameters, however processes had shared it."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from torch import Tensor


class TrainingState(Protocol):
    """Whole weights and whole optimizer state, one parameter at a time: nothing else has to fit into memory.

    Names are the bare model's, as `module_tree.names.named_parameters` gives them.
    """

    @property
    def groups(self) -> Sequence[dict[str, Any]]:
        """What the optimizer keeps for each of its groups: settings and counters, without the parameters."""

    @property
    def loss_scale(self) -> float | None:
        """Dynamic scale of fp16 under DeepSpeed; None in other precisions, and where the scaler has its own file."""

    @property
    def names(self) -> Collection[str]:
        """Names of the weights and buffers that are there."""

    def weight(self, name: str) -> Tensor:
        """Return a weight in the precision that it was trained in, or a buffer."""

    def kept(self, name: str) -> dict[str, Any]:
        """Return what the optimizer keeps for a parameter; nothing before its first update."""
