"""Streamed training data that Trainer can continue without reading again what a checkpoint has seen."""

from collections.abc import Iterator
from itertools import repeat
from typing import Any

from torch import Tensor
from torch.utils.data import IterableDataset

from hf_strategies.data.streaming import StreamingBlocks


class SeekableStream(IterableDataset):
    """The blocks of a stream, from a checkpoint's place on once `seek` was called.

    Trainer resumes a stream by drawing from the data loader what it is to skip. After `seek` one block, drawn again
    and again, stands in for what is skipped: only the collator sees it (some microseconds per block), and Trainer's
    own count of batches stays right.

    Args:
        stream: Where the blocks come from.
    """

    draws_nothing = True  # a block is a function of its number

    def __init__(self, stream: StreamingBlocks) -> None:
        self.stream = stream
        self._num_blocks: int | None = None  # of this pass, known once it was read to its end
        self._num_skipped = 0

    def is_over(self, num_blocks: int) -> bool:
        """Tell whether a pass ends with its first `num_blocks` blocks, or before."""
        return self._num_blocks is not None and self._num_blocks <= num_blocks

    def place(self, num_blocks: int) -> dict[str, Any] | None:
        """Return where the stream stands after `num_blocks` blocks of this pass.

        Returns:
            JSON values for `seek`; None where the reader is too far ahead to remember, or is another process.
        """
        try:
            return self.stream.state_dict(num_blocks)
        except ValueError:
            return None

    def seek(self, place: dict[str, Any], num_blocks: int) -> None:
        """Let the next pass continue from `place`, which has `num_blocks` blocks before it."""
        self.stream.load_state_dict(place)
        self._num_skipped = num_blocks

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        num_skipped, self._num_skipped = self._num_skipped, 0
        num_blocks, self._num_blocks = num_skipped, None
        for block in self.stream:
            if num_blocks == num_skipped:
                yield from repeat(block, num_skipped)
            num_blocks += 1
            yield block
        self._num_blocks = num_blocks
