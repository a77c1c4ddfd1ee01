"""Several examples in one row of tokens, so that no batch is half padding; none of them sees another."""

import bisect
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from hf_strategies.metrics.language_modeling import IGNORED


class TokenExample(NamedTuple):
    """An example for a causal language model; `labels` are IGNORED where nothing is learned. `[tokens]` each."""

    input_ids: list[int]
    labels: list[int]


def pack_lengths(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Put items into few bins by best-fit decreasing: at most 11/9 of the fewest that would do, and four more.

    Johnson et al. 1974, "Worst-case performance bounds for simple one-dimensional packing algorithms". Cost:
    O(n log n) comparisons.

    Args:
        lengths: Of the items, each in [1, capacity]. `[n]`
        capacity: Of a bin.

    Returns:
        The items of each bin, by number; bins in the order of their first item.
    """
    bins: list[list[int]] = []
    open_bins: list[tuple[int, int]] = []  # (room left, bin), rising
    for item in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        place = bisect.bisect_left(open_bins, (lengths[item], -1))
        if place == len(open_bins):
            room, number = capacity, len(bins)
            bins.append([])
        else:
            room, number = open_bins.pop(place)
        bins[number].append(item)
        if room > lengths[item]:
            bisect.insort(open_bins, (room - lengths[item], number))
    return sorted((sorted(items) for items in bins), key=lambda items: items[0])


class PackedExamples(Dataset):
    """Rows of `row_length` tokens, each holding as many whole examples as fit.

    Positions restart with every example; without an attention mask the host's attention then stays within them. An
    example's first token is no target, as it would be predicted from the example before it.

    Args:
        examples: None longer than a row.
        row_length: Tokens per row.
        pad_token_id: Fills what is left of a row.
    """

    draws_nothing = True  # a row is a function of its index

    def __init__(self, examples: Sequence[TokenExample], row_length: int, *, pad_token_id: int) -> None:
        self.examples = examples
        self.row_length = row_length
        self.pad_token_id = pad_token_id
        self.rows = pack_lengths([len(example.input_ids) for example in examples], row_length)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        input_ids: list[int] = []
        labels: list[int] = []
        positions: list[int] = []
        for number in self.rows[index]:
            example = self.examples[number]
            input_ids += example.input_ids
            labels += [IGNORED, *example.labels[1:]]
            positions += range(len(example.input_ids))
        rest = self.row_length - len(input_ids)
        return {
            "input_ids": torch.tensor(input_ids + [self.pad_token_id] * rest),
            "labels": torch.tensor(labels + [IGNORED] * rest),
            "position_ids": torch.tensor([*positions, *range(rest)]),
        }

    @property
    def fill(self) -> float:
        """Share of the tokens that belong to an example."""
        return sum(len(example.input_ids) for example in self.examples) / (len(self.rows) * self.row_length)
