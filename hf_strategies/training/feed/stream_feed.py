"""Streamed samples with their number, so that what a collator draws on them is keyed by it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from hf_strategies.randomness import draw_seed
from hf_strategies.training.feed.global_streams import seed_streams, streams_aside
from hf_strategies.training.feed.sample_feed import draws_nothing

END = object()

NumberedSample = tuple[int, int, Any]  # epoch, number of the sample in it, the sample


class StreamFeed(IterableDataset):
    """The data set and the collator of a data loader that streams, with draws like `SampleFeed`'s.

    Args:
        dataset: Yields samples; it is numbered in the order in which it yields, by each worker for itself.
        collator: Makes a batch of a list of samples.
        seed: Seed of the draws.
        draws: Anything is drawn at all; without it the streams are left alone.
    """

    def __init__(self, dataset: Any, collator: Callable[[list], Any], seed: int, *, draws: bool = True) -> None:
        self.dataset = dataset
        self.collator = collator
        self.seed = seed
        self.draws = draws
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # workers that live on see it change

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "dataset":
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)

    def __iter__(self) -> Iterator[NumberedSample]:
        epoch, worker = int(self._epoch), get_worker_info()
        if worker is not None and hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)
        number, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        samples, reading_draws = iter(self.dataset), not draws_nothing(self.dataset)
        while True:
            with self._streams(epoch, number, "sample") if reading_draws else nullcontext():
                sample = next(samples, END)
            if sample is END:
                return
            yield epoch, number, sample
            number += stride

    def collate(self, samples: list[NumberedSample]) -> Any:
        epoch, number, _ = samples[0]
        with self._streams(epoch, number, "batch"):
            return self.collator([sample for _, _, sample in samples])

    @contextmanager
    def _streams(self, epoch: int, number: int, operation: str) -> Iterator[None]:
        if not self.draws:
            yield
            return
        with streams_aside():
            seed_streams(draw_seed(self.seed, epoch, number, operation))
            yield
