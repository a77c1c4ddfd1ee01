"""The order of samples, as Trainer's data loader asks for it."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from hf_strategies.randomness import shuffled_indices

CHUNK = 65536  # positions evaluated at once: 0.5 MB, and skipping runs at numpy's speed


class ShuffledOrder(Sampler[int]):
    """Shuffle anew in each epoch, as a pure function of (seed, epoch, position).

    Nothing has to be saved, the global random stream is left alone, and every rank that shares the seed walks through
    the same order; `accelerate` deals its batches out in turn, so that the order does not depend on the number of
    ranks. The epoch is `set_epoch`'s, which `accelerate` calls at the start of each epoch.

    Args:
        num_samples: Size of the data.
        seed: Seed of the order.
    """

    draws_nothing = True  # from a stream

    def __init__(self, num_samples: int, seed: int) -> None:
        self.num_samples = num_samples
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        for start in range(0, self.num_samples, CHUNK):
            positions = np.arange(start, min(start + CHUNK, self.num_samples))
            yield from shuffled_indices(positions, self.num_samples, seed=self.seed, epoch=self.epoch).tolist()
