"""Streamed samples with their number, so that what a collator draws on them is keyed by it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from hf_strategies.errors import UserError, first_line
from hf_strategies.randomness import draw_seed, generator
from hf_strategies.training.feed.broken_samples import BrokenSamples
from hf_strategies.training.feed.global_streams import seed_streams, streams_aside
from hf_strategies.training.feed.sample_feed import BrokenSample, draws_nothing

END = object()

NumberedSample = tuple[int, int, Any]  # epoch, number of the sample in it, the sample


class StreamFeed(IterableDataset):
    """The data set and the collator of a data loader that streams, with draws like `SampleFeed`'s.

    A sample that cannot be collated, even alone, is replaced by another of its batch, which its number chooses. What a
    stream itself raises is not caught: a generator that has raised is over.

    Args:
        dataset: Yields samples; it is numbered in the order in which it yields, by each worker for itself.
        collator: Makes a batch of a list of samples.
        seed: Seed of the draws.
        list_broken: Makes the list of broken samples for a pass; each process that collates has its own.
        draws: Anything is drawn at all; without it the streams are left alone.
    """

    def __init__(
        self,
        dataset: Any,
        collator: Callable[[list], Any],
        seed: int,
        list_broken: Callable[[], BrokenSamples],
        *,
        draws: bool = True,
    ) -> None:
        self.dataset = dataset
        self.collator = collator
        self.seed = seed
        self.list_broken = list_broken
        self.draws = draws
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # workers that live on see it change
        self._listed: tuple[int, BrokenSamples] | None = None

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
        """Collate samples.

        Raises:
            UserError: None of them works, or too many of the pass do not.
        """
        epoch, number, _ = samples[0]
        if self._listed is None or self._listed[0] != epoch:
            self._listed = (epoch, self.list_broken())
        broken: list[BrokenSample] = []
        try:
            batch = self._join(epoch, number, samples)
        except MemoryError:
            raise
        except Exception as error:
            samples, broken = self._replace_broken(samples, error)
            batch = self._join(epoch, number, samples)
        self._listed[1].draw(len(samples), broken)
        return batch

    def _join(self, epoch: int, number: int, samples: list[NumberedSample]) -> Any:
        with self._streams(epoch, number, "batch"):
            return self.collator([sample for _, _, sample in samples])

    def _replace_broken(
        self, samples: list[NumberedSample], error: Exception
    ) -> tuple[list[NumberedSample], list[BrokenSample]]:
        errors = [self._error(sample) for sample in samples]
        whole = [sample for sample, found in zip(samples, errors, strict=True) if found is None]
        if len(whole) == len(samples):
            raise error  # they only break together
        if not whole:
            raise UserError(
                f"no sample of a batch of {len(samples)} from the training stream works, from its sample "
                f"{samples[0][1]} on ({type(error).__name__}: {first_line(error)}): look for a mistake in the data or "
                "the collator"
            ) from error
        mended, broken = [], []
        for sample, found in zip(samples, errors, strict=True):
            epoch, number, _ = sample
            if found is not None:
                sample = whole[generator(self.seed, epoch, number, "replacement").integers(len(whole))]
                reason = f"{type(found).__name__}: {first_line(found)}"
                broken.append(BrokenSample(number, reason, epoch, number, sample[1]))
            mended.append(sample)
        return mended, broken

    def _error(self, sample: NumberedSample) -> Exception | None:
        """Try one sample alone."""
        epoch, number, _ = sample
        try:
            self._join(epoch, number, [sample])
        except MemoryError:
            raise
        except Exception as error:
            return error
        return None

    @contextmanager
    def _streams(self, epoch: int, number: int, operation: str) -> Iterator[None]:
        if not self.draws:
            yield
            return
        with streams_aside():
            seed_streams(draw_seed(self.seed, epoch, number, operation))
            yield
