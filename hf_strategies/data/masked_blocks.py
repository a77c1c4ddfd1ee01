"""Blocks of text of which a part is hidden, anew in each epoch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset

from hf_strategies.data.maskings import Masking
from hf_strategies.data.packing import PackedBlocks
from hf_strategies.randomness import generator

FIXED = {"seed": 0, "epoch": -1}  # of evaluations: the same in every run, and unlike what any run trains on


class MaskedBlocks(Dataset):
    """Examples made of blocks: `draw` hides something else in each epoch, indexing always the same.

    What is hidden is a function of (seed, epoch, index) in training and of the index alone in evaluation, where losses
    of different runs are to be compared.

    Args:
        blocks: Blocks of the size that the masking asks for, without an overlap.
        masking: Makes the examples.
        seed: Of the run.
    """

    draws_nothing = True  # from global streams

    def __init__(self, blocks: PackedBlocks, masking: Masking, seed: int) -> None:
        self.blocks = blocks
        self.masking = masking
        self.seed = seed

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self._example(index, **FIXED)

    def draw(self, index: int, epoch: int) -> dict[str, Tensor]:
        """Return the example of an epoch, counted from 0."""
        return self._example(index, self.seed, epoch)

    @property
    def block_size(self) -> int:
        """Tokens that a model reads in one example."""
        return self.masking.inputs_length

    def _example(self, index: int, seed: int, epoch: int) -> dict[str, Tensor]:
        example = self.masking(self.blocks.tokens(index), generator(seed, epoch, index % len(self), "mask"))
        return {name: torch.from_numpy(values) for name, values in example.items()}
