"""Who draws: what every random choice of an augmentation depends on, besides the augmentation's name."""

from typing import NamedTuple


class DrawKey(NamedTuple):
    """One example in one pass over the data, as `hf_strategies.randomness.generator` takes it.

    Args:
        seed: Seed of the run.
        epoch: Pass over the data, from 0.
        example: Index of the example in its data set.
    """

    seed: int
    epoch: int
    example: int
