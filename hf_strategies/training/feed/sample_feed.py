"""From places in the order of samples to batches: draws keyed by the place, and broken samples replaced."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import count, islice, repeat
from typing import Any, NamedTuple

import torch
from accelerate.utils import send_to_device
from torch.utils.data import Dataset, Sampler
from torch.utils.data._utils.pin_memory import pin_memory

from hf_strategies.errors import UserError, first_line
from hf_strategies.randomness import draw_seed, generator
from hf_strategies.training.feed.global_streams import SeededStreams, seed_streams, streams_aside
from hf_strategies.training.feed.shared_end import Filler, without_labels

READ_AHEAD = 1024  # indices of an order that may draw: lending it the streams costs under a microsecond for each
REPLACEMENTS = 10  # samples tried in the place of a broken one; all of them broken means that nothing works

Place = tuple[int, int, int]  # index of the sample, epoch, position in the epoch's order


def draws_nothing(source: Any) -> bool:
    """Tell whether a data set's or an order's class says that it leaves nothing to chance; an heir says so itself."""
    return vars(type(source)).get("draws_nothing", False)


class PlacedOrder(Sampler[Place]):
    """Any order of samples, each with the place where it stands.

    What an order draws, from the global streams or from a `generator` of its own, is keyed by (seed, epoch): it is
    another one in each epoch, and the same after a resume. It is read `READ_AHEAD` indices at a time.

    Args:
        order: Yields indices.
        seed: Seed of the draws.
    """

    def __init__(self, order: Sampler[int], seed: int) -> None:
        self.order = order
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        if hasattr(self.order, "set_epoch"):
            self.order.set_epoch(epoch)

    @property
    def repeats(self) -> bool:
        """Whether a sample may come more than once in an epoch; torch's orders call that `replacement`."""
        return getattr(self.order, "repeats", False) or getattr(self.order, "replacement", False)

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Place]:
        indices = self.order if draws_nothing(self.order) else self._drawn(self.epoch)
        return zip(indices, repeat(self.epoch), count())

    def _drawn(self, epoch: int) -> Iterator[int]:
        seed = draw_seed(self.seed, epoch, 0, "order")
        own = getattr(self.order, "generator", None)
        if isinstance(own, torch.Generator):
            own.manual_seed(seed)
        streams = SeededStreams(seed)
        with streams.lent():
            indices = iter(self.order)  # where most of them draw
        while True:
            with streams.lent():
                ahead = list(islice(indices, READ_AHEAD))
            if not ahead:
                return
            yield from ahead


class BrokenSample(NamedTuple):
    """A sample that could not be loaded or collated, why, where its turn came, and which one took its place."""

    index: int  # type: ignore[assignment]  # hides a method of tuple that nobody calls
    reason: str
    epoch: int
    position: int
    replaced_by: int


class FedBatch(dict):
    """A collator's batch on its way from a worker to the training loop, with what it was made of.

    Whoever looks into the loader sees the batch's items; the training loop takes out `batch`, as it was collated.

    Args:
        batch: What the collator returned.
        indices: Samples that the batch holds. `[rows]`
        broken: Samples that were replaced in it.
    """

    def __init__(
        self, batch: Mapping[str, Any], indices: Sequence[int] = (), broken: Sequence[BrokenSample] = ()
    ) -> None:
        super().__init__(batch)
        self.batch = batch
        self.indices = indices
        self.broken = broken

    def __reduce__(self) -> tuple:
        return FedBatch, (self.batch, self.indices, self.broken)

    def to(self, device: Any, non_blocking: bool = False) -> "FedBatch":
        """Move the tensors; `accelerate` asks for it."""
        return FedBatch(send_to_device(self.batch, device, non_blocking=non_blocking), self.indices, self.broken)

    def pin_memory(self) -> "FedBatch":
        """Pin the tensors; torch's loader asks for it."""
        return FedBatch(pin_memory(self.batch), self.indices, self.broken)


class SampleFeed(Dataset):
    """The data set and the collator of a data loader in one: a batch of places goes in, the batch comes out.

    Python's, NumPy's and torch's global streams are seeded by (seed, epoch, position) for each sample and each call
    of the collator, and put back after: what they draw is the same with any number of workers, and after a resume. A
    data set that loads whole batches (`__getitems__`) is seeded by the place of the first. One whose samples are
    another in each epoch, without a global stream, has a `draw(index, epoch)`, which is then asked instead.

    A sample that raises an error, loaded or collated alone, is replaced by one that its place alone chooses.

    Args:
        dataset: Maps an index to a sample.
        collator: Makes a batch of a list of samples.
        seed: Seed of the draws.
        turns_per_epoch: Length of an epoch in whose order a sample may come more than once: `draw` is then told the
            number of the turn in the run, in the place of the epoch. None where none does.
        draws: Anything is drawn at all; without it the streams are left alone, which saves some 20 microseconds per
            sample and 0.1 ms per batch.
    """

    def __init__(
        self,
        dataset: Any,
        collator: Callable[[list], Any],
        seed: int,
        *,
        turns_per_epoch: int | None = None,
        draws: bool = True,
    ) -> None:
        self.dataset = dataset
        self.collator = collator
        self.seed = seed
        self.turns_per_epoch = turns_per_epoch
        self.draws = draws

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "dataset":
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]

    def __getitems__(self, places: list[Place]) -> list[Place]:
        return places  # `collate` loads them: whoever collates must be able to load others

    def collate(self, places: list[Place]) -> Any:
        """Load and collate the samples at `places`.

        Returns:
            A `FedBatch`; what the collator returned, where that is no mapping.

        Raises:
            UserError: A sample is broken, and so is whatever was tried in its place.
        """
        indices = [index for index, _, _ in places]
        broken: list[BrokenSample] = []
        with streams_aside() if self.draws else nullcontext():
            try:
                batch = self._join(places, self._load_all(places))
            except Exception as error:
                indices, broken = self._replace_broken(places)
                batch = self._join(places, list(map(self._load, places, indices)))
                if broken and not isinstance(batch, Mapping):
                    raise error  # it could not be told
        if not isinstance(batch, Mapping):
            return batch
        return FedBatch(without_labels(batch)) if isinstance(places[0], Filler) else FedBatch(batch, indices, broken)

    def _load_all(self, places: list[Place]) -> list[Any]:
        if hasattr(self.dataset, "__getitems__") and not hasattr(self.dataset, "draw"):
            self._seed(places[0], "sample")
            return self.dataset.__getitems__([index for index, _, _ in places])
        return [self._load(place, place[0]) for place in places]

    def _load(self, place: Place, index: int) -> Any:
        self._seed(place, "sample")
        if not hasattr(self.dataset, "draw"):
            return self.dataset[index]
        _, epoch, position = place
        turn = epoch if self.turns_per_epoch is None else epoch * self.turns_per_epoch + position
        return self.dataset.draw(index, turn)

    def _join(self, places: list[Place], samples: list[Any]) -> Any:
        self._seed(places[0], "batch")
        return self.collator(samples)

    def _seed(self, place: Place, operation: str) -> None:
        _, epoch, position = place
        if self.draws:
            seed_streams(draw_seed(self.seed, epoch, position, operation))

    def _replace_broken(self, places: list[Place]) -> tuple[list[int], list[BrokenSample]]:
        indices: list[int] = []
        broken: list[BrokenSample] = []
        for place in places:
            index, epoch, position = place
            error = self._error(place, index)
            if error is not None:
                reason = f"{type(error).__name__}: {first_line(error)}"
                index = self._replacement(place, error)
                broken.append(BrokenSample(place[0], reason, epoch, position, index))
            indices.append(index)
        return indices, broken

    def _replacement(self, place: Place, error: Exception) -> int:
        index, epoch, position = place
        draws = generator(self.seed, epoch, position, "replacement")
        for candidate in map(int, draws.integers(len(self.dataset), size=REPLACEMENTS)):
            if self._error(place, candidate) is None:
                return candidate
        raise UserError(
            f"sample {index} of the training data is broken ({type(error).__name__}: {first_line(error)}), and so are "
            f"{REPLACEMENTS} others that were tried in its place: look for a mistake in the data set or its collator"
        ) from error

    def _error(self, place: Place, index: int) -> Exception | None:
        """Try one sample alone."""
        try:
            self._join([place], [self._load(place, index)])
        except MemoryError:
            raise
        except Exception as error:
            return error
        return None
