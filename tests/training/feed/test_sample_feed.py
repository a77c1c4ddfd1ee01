import random

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Sampler,
    SequentialSampler,
    WeightedRandomSampler,
    default_collate,
)
from transformers.trainer_pt_utils import LengthGroupedSampler

from hf_strategies.errors import UserError
from hf_strategies.randomness import draw_seed, generator
from hf_strategies.training.feed.balanced_order import BalancedOrder, ClassBalance
from hf_strategies.training.feed.global_streams import seed_streams
from hf_strategies.training.feed.order import ShuffledOrder
from hf_strategies.training.feed.sample_feed import REPLACEMENTS, BrokenSample, FedBatch, PlacedOrder, SampleFeed


class Drawing:
    """Each sample is its index and a draw from each global stream; those in `broken` cannot be loaded."""

    def __init__(self, size=40, broken=()):
        self.size, self.broken = size, set(broken)

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        if index in self.broken:
            raise OSError(f"no picture {index}\nsecond line")
        return {"index": index, "draws": draws()}


def draws():
    return torch.tensor([random.random(), np.random.random(), torch.rand(()).item()], dtype=torch.float64)


def collate_and_draw(samples):
    if any(sample["index"] == 13 for sample in samples):
        raise ValueError("sample 13 does not go into a batch")
    return {**default_collate(samples), "batch": draws()}


def batches(dataset, workers=0, epoch=0, collator=default_collate):
    order = PlacedOrder(ShuffledOrder(len(dataset), seed=1), seed=7)
    order.set_epoch(epoch)
    feed = SampleFeed(dataset, collator, seed=7)
    sampler = BatchSampler(order, batch_size=4, drop_last=False)
    return list(DataLoader(feed, batch_sampler=sampler, num_workers=workers, collate_fn=feed.collate))


def test_an_order_says_where_each_sample_stands():
    order = PlacedOrder(SequentialSampler(range(3)), seed=0)
    order.set_epoch(2)
    assert list(order) == [(0, 2, 0), (1, 2, 1), (2, 2, 2)]
    assert len(order) == 3


class Lazy(Sampler):
    """Draws each index when it is asked for it, from the three streams in turn."""

    def __iter__(self):
        for number in range(2500):
            drawn = (random.random(), np.random.random(), torch.rand(()).item())[number % 3]
            yield int(drawn * 1000)

    def __len__(self):
        return 2500


ORDERS = {
    "drawn at its beginning": lambda: WeightedRandomSampler([1.0] * 1000, 1000),
    "with a generator of its own": lambda: WeightedRandomSampler([1.0] * 1000, 1000, generator=torch.Generator()),
    "by length": lambda: LengthGroupedSampler(8, lengths=[1] * 1000),
    "drawn while it is read": Lazy,
}


@pytest.mark.parametrize("build", ORDERS.values(), ids=ORDERS)
def test_an_order_that_draws_is_keyed_by_seed_and_epoch(build):
    def read(seed, epoch):
        order.set_epoch(epoch)
        order.seed = seed
        indices = []
        for index, _, _ in order:
            indices.append(index)
            torch.rand(()), random.random(), np.random.random()  # training draws in between
        return indices

    order = PlacedOrder(build(), seed=0)
    seed_streams(5)
    first, second, other = read(1, 0), read(1, 1), read(2, 0)
    assert len(first) == len(order)
    assert first != second != other != first
    order = PlacedOrder(build(), seed=0)
    seed_streams(6)
    assert [read(1, 1), read(1, 0)] == [second, first]


def test_an_order_that_draws_leaves_the_global_streams_alone():
    seed_streams(0)
    expected = draws()
    seed_streams(0)
    places = iter(PlacedOrder(Lazy(), seed=1))
    for _ in range(1500):
        next(places)
    assert torch.equal(draws(), expected)


def test_draws_are_those_of_streams_seeded_by_the_place():
    (batch,) = batches(Drawing(size=3), epoch=5)
    for position in range(3):
        seed_streams(draw_seed(7, 5, position, "sample"))
        assert torch.equal(batch["draws"][position], draws())
    assert len(set(batch["draws"].flatten().tolist())) == 9


def test_draws_are_the_same_in_workers_and_differ_between_epochs_and_batches():
    alone, helped, later = (
        batches(Drawing(), **how, collator=collate_and_draw) for how in ({}, {"workers": 2}, {"epoch": 1})
    )
    for one, other in zip(alone, helped, strict=True):
        assert one.keys() == other.keys() == {"index", "draws", "batch"}
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert len({batch["batch"][0].item() for batch in alone + later}) == 20


@pytest.mark.parametrize("broken", [(), (3, 4)])
def test_the_global_streams_are_put_back(broken):
    seed_streams(0)
    expected = draws()
    seed_streams(0)
    feed = SampleFeed(Drawing(broken=broken), collate_and_draw, seed=7)
    feed.collate([(index, 0, index) for index in range(5)])
    assert torch.equal(draws(), expected)


def test_a_broken_sample_is_replaced_by_the_one_that_its_place_draws_and_the_others_stay():
    whole, mended = batches(Drawing(), epoch=2), batches(Drawing(broken=[5]), epoch=2)
    (found,) = [sample for batch in mended for sample in batch.broken]
    substitute = int(generator(7, 2, found.position, "replacement").integers(40, size=REPLACEMENTS)[0])
    assert found == BrokenSample(5, "OSError: no picture 5", 2, found.position, substitute)
    for one, other in zip(whole, mended, strict=True):
        wanted = [substitute if index == 5 else index for index in one["index"].tolist()]
        assert other["index"].tolist() == list(other.indices) == wanted
        assert torch.equal(one["draws"], other["draws"])


def test_workers_replace_the_same_samples():
    alone, helped = (batches(Drawing(broken=[5, 6, 30]), workers) for workers in (0, 2))
    assert [batch.broken for batch in alone] == [batch.broken for batch in helped]
    assert [list(batch.indices) for batch in alone] == [list(batch.indices) for batch in helped]
    assert sum(len(batch.broken) for batch in alone) == 3


def test_a_sample_that_breaks_the_collator_is_found_among_its_neighbours():
    found = [sample for batch in batches(Drawing(), collator=collate_and_draw) for sample in batch.broken]
    assert [(sample.index, sample.reason) for sample in found] == [
        (13, "ValueError: sample 13 does not go into a batch")
    ]


def test_samples_that_only_break_together_keep_their_error():
    def ragged(samples):
        return {"row": torch.stack([torch.zeros(sample["index"]) for sample in samples])}

    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        batches(Drawing(), collator=ragged)


def test_data_of_which_nothing_works_end_with_the_first_error():
    with pytest.raises(UserError, match=r"no picture \d+\), and so are 10 others") as caught:
        batches(Drawing(broken=range(40)))
    assert isinstance(caught.value.__cause__, OSError)


def test_running_out_of_memory_is_no_broken_sample():
    class Huge(Drawing):
        def __getitem__(self, index):
            raise MemoryError

    with pytest.raises(MemoryError):
        batches(Huge())


def test_a_data_set_that_loads_batches_is_asked_for_batches():
    asked = []

    class Columns(Drawing):
        def __getitems__(self, indices):
            asked.append(len(indices))
            return [self[index] for index in indices]

    mended = batches(Columns(broken=[5]))
    assert asked == [4] * 10
    assert sum(len(batch.broken) for batch in mended) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_set_that_draws_by_epoch_is_asked_for_an_epochs_samples(workers):
    class Epochs(Drawing):
        def draw(self, index, epoch):
            return {"index": self[index]["index"], "epoch": epoch}

        def __getitems__(self, indices):  # the same in every epoch
            return [{"index": index, "epoch": -1} for index in indices]

    mended = batches(Epochs(broken=[5]), workers, epoch=3)
    assert all((batch["epoch"] == 3).all() for batch in mended)
    assert sum(len(batch.broken) for batch in mended) == 1
    assert sum(len(batch["index"]) for batch in mended) == 40


def test_a_sample_that_comes_twice_in_an_epoch_is_drawn_anew():
    class Turns(Drawing):
        def draw(self, index, epoch):
            return {"index": index, "turn": epoch}

    feed = SampleFeed(Turns(), default_collate, seed=7, turns_per_epoch=40)
    batch = feed.collate([(3, 2, 0), (5, 2, 1), (3, 2, 39), (3, 3, 0)]).batch
    assert batch["turn"].tolist() == [80, 81, 119, 120]


def test_orders_say_whether_they_repeat():
    balanced = BalancedOrder(ClassBalance([0, 0, 0, 1]), seed=0)
    for order, repeats in (
        (balanced, True),
        (RandomSampler(range(4), replacement=True), True),
        (RandomSampler(range(4)), False),
        (ShuffledOrder(4, seed=0), False),
    ):
        assert PlacedOrder(order, seed=0).repeats is repeats


def test_whoever_looks_into_the_loader_sees_the_collators_batch():
    batch = FedBatch({"input_ids": torch.zeros(2, 3)}, [4, 5])
    assert dict(batch).keys() == {"input_ids"}
    moved = batch.to(torch.device("meta"))
    assert (moved["input_ids"].device.type, moved.indices, type(moved.batch)) == ("meta", [4, 5], dict)
