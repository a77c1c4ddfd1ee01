"""The end of an update, where all ranks agree on what to do next."""

from collections.abc import Sequence

import torch
from torch import Tensor, distributed


class Boundary:
    """Of what each rank asks for, tell all of them the most that any does, with one tiny collective per update.

    One rank alone asks nobody. On an accelerator the answer is read at the next boundary, when it has long arrived:
    nothing waits for the device.

    Args:
        device: Where the collective's tensors live.
        world_size: Number of ranks.
    """

    def __init__(self, device: torch.device, world_size: int) -> None:
        self.device = device
        self.world_size = world_size
        self._pending: tuple[int, Tensor, torch.Event] | None = None

    def agree(self, step: int, asked: Sequence[int]) -> tuple[int, list[int]]:
        """Ask for `asked` on this rank and return what is agreed on.

        Args:
            step: Updates done, the same on all ranks.
            asked: How much this rank wants of each thing; 0 for nothing. Every rank calls with the same number.

        Returns:
            The step at which the ranks asked, and the largest of what they asked for; zeros before any answer came.
        """
        if self.world_size == 1:
            return step, list(asked)
        largest = torch.tensor(asked, device=self.device)
        distributed.all_reduce(largest, op=distributed.ReduceOp.MAX)
        if self.device.type == "cpu":
            return step, largest.tolist()
        arrived, self._pending = self._pending, self._on_its_way(step, largest)
        if arrived is None:
            return 0, [0] * len(asked)
        asked_at, answer, event = arrived
        event.synchronize()
        return asked_at, answer.tolist()

    def _on_its_way(self, step: int, largest: Tensor) -> tuple[int, Tensor, torch.Event]:
        answer = torch.empty(largest.shape, dtype=largest.dtype, pin_memory=True)
        answer.copy_(largest, non_blocking=True)
        event = torch.Event(self.device)
        event.record()
        return step, answer, event
