"""Streamed samples with their number, so that what a collator draws on them is keyed by it."""

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from hf_strategies.randomness import draw_seed
from hf_strategies.training.global_streams import seed_streams, streams_aside
from hf_strategies.training.stream import SeekableStream

NumberedSample = tuple[int, int, Any]  # epoch, number of the sample in it, the sample


class StreamFeed(IterableDataset):
    """The data set and the collator of a data loader that streams, with draws like `SampleFeed`'s.

    Args:
        dataset: Yields samples; it is numbered in the order in which it yields, by each worker for itself.
        collator: Makes a batch of a list of samples.
        seed: Seed of the draws.
    """

    def __init__(self, dataset: Any, collator: Callable[[list], Any], seed: int) -> None:
        self.dataset = dataset
        self.collator = collator
        self.seed = seed
        self.epoch = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "dataset":
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)

    def __iter__(self) -> Iterator[NumberedSample]:
        worker = get_worker_info()
        number, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        samples = iter(self.dataset)
        while True:
            try:
                sample = next(samples) if isinstance(self.dataset, SeekableStream) else self._next(samples, number)
            except StopIteration:
                return
            yield self.epoch, number, sample
            number += stride

    def collate(self, samples: list[NumberedSample]) -> Any:
        epoch, number, _ = samples[0]
        with streams_aside():
            seed_streams(draw_seed(self.seed, epoch, number, "batch"))
            return self.collator([sample for _, _, sample in samples])

    def _next(self, samples: Iterator, number: int) -> Any:
        """Read a sample of a stream that may draw on it; `StreamingBlocks` do not."""
        with streams_aside():
            seed_streams(draw_seed(self.seed, self.epoch, number, "sample"))
            return next(samples)
