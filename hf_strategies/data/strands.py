"""Blocks of DNA read from either strand, anew in each epoch."""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from hf_strategies.data.packing import PackedBlocks
from hf_strategies.randomness import generator

NOWHERE = np.empty(0, dtype=np.int64)  # starts of documents, which only matter where documents are isolated


class StrandedBlocks(Dataset):
    """Blocks of which each is, with a chance of one half, that of the other strand; indexing gives them as they stand.

    Which strand is drawn is a function of (seed, epoch, index). The ends of documents keep their places between them.

    Args:
        blocks: Blocks of single bases, without an isolation of documents.
        complements: For each token id that of its partner (see `bases.complements`). `[tokens]`
        seed: Of the run.
    """

    draws_nothing = True  # from global streams

    def __init__(self, blocks: PackedBlocks, complements: np.ndarray, seed: int) -> None:
        self.blocks = blocks
        self.complements = complements
        self.seed = seed

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.blocks[index]

    def draw(self, index: int, epoch: int) -> dict[str, Tensor]:
        """Return the block of an epoch, counted from 0."""
        if generator(self.seed, epoch, index % len(self), "strand").random() < 0.5:
            return self.blocks[index]
        return self.blocks.pack(self.complements[self.blocks.tokens(index)[::-1]], NOWHERE)

    @property
    def block_size(self) -> int:
        """Tokens that a model reads in one example."""
        return self.blocks.block_size
