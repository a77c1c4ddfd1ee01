import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, default_collate, get_worker_info

from hf_strategies.training.feed.stream_feed import StreamFeed


class Numbers(IterableDataset):
    """Numbers with a draw and the epoch that the data set was told, dealt out to workers."""

    def __init__(self, size=12):
        self.size = size
        self.epoch = -1

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        worker = get_worker_info()
        start, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for number in range(start, self.size, stride):
            yield {"number": number, "draw": torch.rand(()), "epoch": self.epoch}


def passes(feed, epochs, **workers):
    loader = DataLoader(feed, batch_size=3, collate_fn=feed.collate, **workers)
    for epoch in epochs:
        feed.set_epoch(epoch)
        samples = [
            {name: column[row].item() for name, column in batch.items()} for batch in loader for row in range(3)
        ]
        yield sorted(samples, key=lambda sample: sample["number"])


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_hear_of_each_epoch(persistent):
    alone = list(passes(StreamFeed(Numbers(), default_collate, seed=1), [0, 1, 2]))
    assert [[sample["epoch"] for sample in one] for one in alone] == [[0] * 12, [1] * 12, [2] * 12]
    assert len({sample["draw"] for one in alone for sample in one}) == 36
    feed = StreamFeed(Numbers(), default_collate, seed=1)
    assert list(passes(feed, [0, 1, 2], num_workers=2, persistent_workers=persistent)) == alone
