import json
from functools import partial

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, default_collate, get_worker_info

from hf_strategies.errors import UserError
from hf_strategies.randomness import generator
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.feed.broken_samples import ENDLESS, BrokenSamples
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


@pytest.fixture
def make_feed(tmp_path):
    def make(collator=default_collate, share=1.0, size=12):
        return StreamFeed(Numbers(size), collator, 1, partial(BrokenSamples, tmp_path / "list", share, ENDLESS))

    return make


def passes(feed, epochs, **workers):
    loader = DataLoader(feed, batch_size=3, collate_fn=feed.collate, **workers)
    for epoch in epochs:
        feed.set_epoch(epoch)
        samples = [
            {name: column[row].item() for name, column in batch.items()} for batch in loader for row in range(3)
        ]
        yield sorted(samples, key=lambda sample: sample["number"])


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_hear_of_each_epoch(make_feed, persistent):
    alone = list(passes(make_feed(), [0, 1, 2]))
    assert [[sample["epoch"] for sample in one] for one in alone] == [[0] * 12, [1] * 12, [2] * 12]
    assert len({sample["draw"] for one in alone for sample in one}) == 36
    assert list(passes(make_feed(), [0, 1, 2], num_workers=2, persistent_workers=persistent)) == alone


class Choosy:
    """A collator that does not take some numbers."""

    def __init__(self, *broken):
        self.broken = broken

    def __call__(self, samples):
        for sample in samples:
            if sample["number"] in self.broken:
                raise OSError(f"no picture {sample['number']}\nsecond line")
        return default_collate(samples)


def listed(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_cannot_be_collated_is_replaced_by_another_of_its_batch_and_listed(make_feed, tmp_path, workers):
    (whole,) = passes(make_feed(), [1])
    (mended,) = passes(make_feed(Choosy(4, 8, 9)), [1], num_workers=workers)
    lines = sorted(listed(tmp_path / "list"), key=lambda line: line["index"])
    assert [(line["index"], line["position"], line["epoch"]) for line in lines] == [(4, 4, 1), (8, 8, 1), (9, 9, 1)]
    assert {line["reason"] for line in lines} == {f"OSError: no picture {number}" for number in (4, 8, 9)}
    substitutes = [line["replaced_by"] for line in lines]
    by_number = {sample["number"]: sample for sample in whole}
    expected = [number for number in range(12) if number not in (4, 8, 9)] + substitutes
    assert mended == [by_number[number] for number in sorted(expected)]
    if not workers:  # batches are 3 4 5, 6 7 8, 9 10 11
        chosen = [generator(1, 1, number, "replacement").integers(2) for number in (4, 8, 9)]
        assert substitutes == [((3, 5), (6, 7), (10, 11))[row][one] for row, one in enumerate(chosen)]


def test_a_batch_of_which_nothing_works_ends_training(make_feed):
    with pytest.raises(
        UserError, match=r"no sample of a batch of 3 .* from its sample 3 on \(OSError: no picture 3\)"
    ):
        list(passes(make_feed(Choosy(3, 4, 5)), [0]))


def test_samples_that_only_break_together_keep_their_error(make_feed):
    def ragged(samples):
        return {"row": torch.stack([torch.zeros(sample["number"]) for sample in samples])}

    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        list(passes(make_feed(ragged), [0]))


@pytest.mark.parametrize("workers", [0, 2])
def test_more_than_the_share_of_a_pass_ends_training(make_feed, workers):
    feed = make_feed(Choosy(3, 5), share=0.001, size=2004)
    with pytest.raises(UserError, match=r"2 of 1,002 training samples are broken"):
        list(passes(feed, [0], num_workers=workers))


class Rows(IterableDataset):
    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


def test_a_resumed_run_lists_the_same(build_lm, arguments, numbered_rows, tmp_path):
    def collate(samples):
        if any(int(sample["input_ids"][0]) in (2, 14) for sample in samples):
            raise ValueError("no text")
        return default_collate(samples)

    def train(**resume):
        trainer = StrategyTrainer(
            build_lm(), arguments(), train_dataset=Rows(numbered_rows), data_collator=collate, max_broken_share=1.0
        )
        trainer.train(**resume)
        return trainer.model.seen, (tmp_path / "out" / "broken_samples.jsonl").read_text()

    seen, lines = train()
    assert [json.loads(line)["index"] for line in lines.splitlines()] == [2, 14] * 3
    for step in (2, 4):
        rest, again = train(resume_from_checkpoint=f"{tmp_path}/out/checkpoint-{step}")
        assert rest == seen[8 * step :]
        assert again == lines
