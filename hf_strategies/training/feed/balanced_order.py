"""An order of samples in which small classes come as often as they should."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from hf_strategies.errors import UserError
from hf_strategies.randomness import draw_seed, generator, shuffled_indices
from hf_strategies.ranges import AT_LEAST_ONE, or_none
from hf_strategies.training.feed.order import CHUNK

TEMPERATURE = or_none(AT_LEAST_ONE, " for classes in turn")


@dataclass(frozen=True, eq=False)
class ClassBalance:
    """How often each class comes.

    Args:
        labels: The class of each training sample. `[samples]`
        temperature: A class comes in proportion to its number of samples to the power of one over this: 1 leaves the
            classes as they are, and the higher it is, the more equal they come. None: classes in turn, so that all
            come equally often, and batches of a multiple of their number have as many of each.

    Raises:
        UserError: The temperature is out of range, samples have more than one class, or all have the same.
    """

    labels: Sequence[int] | np.ndarray
    temperature: float | None = None

    def __post_init__(self) -> None:
        holds, expected = TEMPERATURE
        if not holds(self.temperature):
            raise UserError(f"the temperature of a class balance must be {expected}, got {self.temperature!r}")
        labels = np.asarray(self.labels)
        if labels.ndim != 1:
            raise UserError(f"a class balance needs one class per sample, got labels of shape {list(labels.shape)}")
        if len(np.unique(labels)) < 2:
            raise UserError(f"a class balance needs two classes at least, got {np.unique(labels).tolist()}")

    def __str__(self) -> str:
        return "classes in turn" if self.temperature is None else f"classes at temperature {self.temperature:g}"

    def quotas(self, counts: np.ndarray) -> np.ndarray:
        """Return how often each class comes in an epoch, which is as long as there are samples. `[classes]`

        Args:
            counts: Samples of each class. `[classes]`
        """
        total = counts.sum()
        if self.temperature is None:
            return total // len(counts) + (np.arange(len(counts)) < total % len(counts))
        powers = counts ** (1.0 / self.temperature)
        exact = total * powers / powers.sum()
        quotas = np.floor(exact).astype(np.int64)
        most_cut = np.argsort(quotas - exact, kind="stable")[: total - quotas.sum()]
        quotas[most_cut] += 1
        return quotas


class BalancedOrder(Sampler[int]):
    """Draw classes as often as they should come, as a pure function of (seed, epoch, position); as `ShuffledOrder`.

    In each epoch a class comes exactly as often as its quota says. Its samples take turns, over the ends of epochs
    too: at the end of any epoch none has come more than once more often than another of its class, and a class of
    which an epoch has room for a part goes on with the rest in the next.

    Args:
        balance: The samples' classes, and how often each comes.
        seed: Seed of the order.
    """

    repeats = True  # a sample of a rare class, within an epoch

    def __init__(self, balance: ClassBalance, seed: int) -> None:
        classes, numbers = np.unique(np.asarray(balance.labels), return_inverse=True)
        self.balance = balance
        self.seed = seed
        self.epoch = 0
        self._counts = np.bincount(numbers)
        self._quotas = balance.quotas(self._counts)
        self._members = np.concatenate(
            [
                generator(seed, 0, number, "members of a class").permutation(np.flatnonzero(numbers == number))
                for number in range(len(classes))
            ]
        )

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[int]:
        for start in range(0, len(self), CHUNK):
            yield from self.indices(np.arange(start, min(start + CHUNK, len(self)))).tolist()

    def indices(self, positions: np.ndarray) -> np.ndarray:
        """Map positions in the epoch to sample indices, each by itself. `[n]`, int64"""
        numbers, turns = self._in_turn(positions) if self.balance.temperature is None else self._mixed(positions)
        members = (self.epoch * self._quotas[numbers] + turns) % self._counts[numbers]
        return self._members[_starts(self._counts)[numbers] + members]

    def _in_turn(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of the class at each position, and which of the class's turns in the epoch it is."""
        turns, numbers = np.divmod(positions, len(self._quotas))
        for number in np.unique(numbers):
            seed, chosen = draw_seed(self.seed, 0, number, "turns of a class"), numbers == number
            turns[chosen] = shuffled_indices(turns[chosen], int(self._quotas[number]), seed=seed, epoch=self.epoch)
        return numbers, turns

    def _mixed(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `_in_turn`, with all turns of all classes shuffled together."""
        places = shuffled_indices(positions, len(self), seed=self.seed, epoch=self.epoch)
        numbers = np.searchsorted(np.cumsum(self._quotas), places, side="right")
        return numbers, places - _starts(self._quotas)[numbers]


def _starts(lengths: np.ndarray) -> np.ndarray:
    """Return where each of several stretches begins that follow one another."""
    return np.cumsum(lengths) - lengths
