import torch
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler, SequentialSampler

from hf_strategies.training.feed.shared_end import Filler, SharedEnd, share_end, without_labels


class Places(SequentialSampler):
    def __iter__(self):
        return ((index, 0, index) for index in super().__iter__())


def parts(num_samples: int, *, batch_size: int = 4, replicas: int = 3) -> list[list[list]]:
    """Return the batches of each replica, as a loader deals them out."""
    found = []
    for replica in range(replicas):
        places = Places(range(num_samples))
        shard = BatchSamplerShard(BatchSampler(places, batch_size, drop_last=False), replicas, replica)
        share_end(shard, places, replicas)
        found.append(list(shard))
        assert len(shard) == len(found[-1])
    return found


def test_every_sample_comes_once_whatever_is_left_at_the_end():
    for num_samples in range(3, 40):
        shared = parts(num_samples)
        seen = [place for batches in shared for batch in batches for place in batch if not isinstance(place, Filler)]
        assert sorted(seen) == [(index, 0, index) for index in range(num_samples)]
        assert len({len(batches) for batches in shared}) == 1  # a replica more or less would wait for ever
        sizes = [len(batch) for batches in shared for batch in batches[-1:]]
        assert max(sizes) - min(sizes) <= 1


def test_rounds_are_those_of_one_process_with_a_batch_of_all_replicas():
    shared = parts(29)
    rounds = [sorted(place[0] for batch in round_ for place in batch) for round_ in zip(*shared)]
    assert rounds == [list(range(12)), list(range(12, 24)), list(range(24, 29))]


def test_with_fewer_samples_than_replicas_some_take_part_without_labels():
    last = [batches[-1] for batches in parts(25)]
    assert last == [[(24, 0, 24)]] * 3
    assert [isinstance(batch[0], Filler) for batch in last] == [False, True, True]
    twice = SharedEnd(Places(range(1)), 4, 2, tuple)
    assert [type(batch[0]) for batch in twice] == [tuple, tuple]
    assert without_labels({"labels": torch.tensor([[5, 7]])})["labels"].tolist() == [[-100, -100]]
    assert without_labels({"labels": torch.tensor([0.5])})["labels"].tolist() == [0.5]


def test_batches_that_the_host_drops_or_splits_stay_as_they_are():
    places = Places(range(10))
    for options in ({"drop_last": True}, {"drop_last": False}):
        inner = BatchSampler(places, 4, **options)
        shard = BatchSamplerShard(inner, 2, 0, split_batches=not options["drop_last"])
        share_end(shard, places, 2)
        assert shard.batch_sampler is inner
    assert len(SharedEnd(places, 4, 2)) == 4
