"""The end of an epoch, where too few samples are left for a full batch of every replica."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from accelerate.data_loader import BatchSamplerShard
from torch import Tensor
from torch.utils.data import BatchSampler, Sampler

IGNORED = -100  # the label that torch's and the host's losses leave out


class Filler(tuple):
    """The place of a sample that another replica learns from: this one only takes part in the step."""


class SharedEnd(BatchSampler):
    """Full batches, and a last round in which replicas share what is left as evenly as it goes.

    The host would fill that round with the epoch's first samples: one process never sees them twice, and the update
    would be another one.

    Args:
        sampler: Yields the places of an epoch.
        batch_size: Of a replica.
        replicas: That take batches in turn.
        fill: What replicas get where there are fewer samples than they: `Filler`, or `tuple` for one that another
            replica learns from too, where a loss of nothing would be no number.
    """

    def __init__(self, sampler: Sampler, batch_size: int, replicas: int, fill: type[tuple] = Filler) -> None:
        super().__init__(sampler, batch_size, drop_last=False)
        self.replicas = replicas
        self.fill = fill

    def __len__(self) -> int:
        return -(-len(self.sampler) // (self.batch_size * self.replicas)) * self.replicas

    def __iter__(self) -> Iterator[list[Any]]:
        places = iter(self.sampler)
        while round_ := list(islice(places, self.batch_size * self.replicas)):
            each, more = divmod(len(round_), self.replicas)
            start = 0
            for replica in range(self.replicas):
                end = start + each + (replica < more)
                yield round_[start:end] or [self.fill(round_[0])]
                start = end


def share_end(shard: Any, sampler: Sampler, replicas: int, fill: type[tuple] = Filler) -> None:
    """Let a loader's batches end as those of `SharedEnd`, where the host would fill them up.

    Args:
        shard: The loader's batch sampler, as the host has prepared it.
        sampler: What it takes its batches from.
        replicas: That share them.
        fill: As `SharedEnd`'s.
    """
    if isinstance(shard, BatchSamplerShard) and not (shard.split_batches or shard.drop_last):
        shard.batch_sampler = SharedEnd(sampler, shard.batch_size, replicas, fill)
        shard.even_batches = False  # the rounds are even already


def without_labels(batch: Any) -> Any:
    """Take a batch's classes or tokens out of the loss; labels that are numbers stay, as no loss leaves them out."""
    labels = batch.get("labels")
    if isinstance(labels, Tensor) and not labels.is_floating_point():
        batch["labels"] = torch.full_like(labels, IGNORED)
    return batch
