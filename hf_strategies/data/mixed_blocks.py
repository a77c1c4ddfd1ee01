"""Blocks of several sources: mixed in training, one behind the other in evaluation."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hf_strategies.data.mixture_order import MixtureOrder
from hf_strategies.data.packing import PackedBlocks
from hf_strategies.randomness import draw_seed, shuffled_indices

SOURCE = "source"  # column of a sample's source, by number


class MixedBlocks(Dataset):
    """The samples of a whole run in their order, each of the source whose turn it is.

    A source that has given all its blocks gives them again, in an order of that epoch. What stands at a position
    follows from (seed, position) alone.

    Args:
        sources: Blocks by name, all of one size.
        order: Deals positions to them.
        num_samples: Of the run.
        seed: Of the orders within sources.
    """

    draws_nothing = True  # from global streams
    keeps_order = True  # its own, of which the run is one pass

    def __init__(self, sources: Mapping[str, PackedBlocks], order: MixtureOrder, num_samples: int, seed: int) -> None:
        self.sources = dict(sources)
        self.order = order
        self.num_samples = num_samples
        self.seeds = [draw_seed(seed, 0, number, "mixture") for number in range(len(sources))]
        self._blocks = list(sources.values())

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        if not 0 <= position < self.num_samples:
            raise IndexError(f"sample {position} of {self.num_samples}")
        source, turn = self.order.place(position)
        blocks = self._blocks[source]
        epoch, turn = divmod(turn, len(blocks))
        (index,) = shuffled_indices(np.array([turn]), len(blocks), seed=self.seeds[source], epoch=epoch)
        return {**blocks[int(index)], SOURCE: torch.tensor(source)}

    @property
    def block_size(self) -> int:
        """Tokens that a model reads in one example."""
        return self._blocks[0].block_size

    def epochs(self) -> dict[str, float]:
        """Say how often the run reads each source."""
        counts = self.order.counts(self.num_samples)
        return {name: count / len(blocks) for count, (name, blocks) in zip(counts, self.sources.items(), strict=True)}


class JoinedBlocks(Dataset):
    """Blocks of several sources behind each other.

    Args:
        sources: Blocks by name, all of one size.
    """

    draws_nothing = True

    def __init__(self, sources: Mapping[str, PackedBlocks]) -> None:
        self.sources = dict(sources)
        self._blocks = list(sources.values())
        self._ends = list(accumulate(map(len, self._blocks)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(f"block {index} of {len(self)}")
        source = bisect_right(self._ends, index)
        return self._blocks[source][index - self._ends[source]]  # counted from its end

    @property
    def block_size(self) -> int:
        """Tokens that a model reads in one example."""
        return self._blocks[0].block_size

    @property
    def num_bytes(self) -> float:
        """Length of their text in bytes of UTF-8."""
        return sum(blocks.num_bytes for blocks in self._blocks)

    def rows(self) -> dict[str, slice]:
        """Say which of the blocks are of which source."""
        begins = [0, *self._ends]
        return {name: slice(begins[number], begins[number + 1]) for number, name in enumerate(self.sources)}
