import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset
from transformers import default_data_collator

from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.errors import UserError
from hf_strategies.randomness import shuffled_indices
from hf_strategies.reports.events import read_events
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.feed.worker_deaths import Delivery, HeldSignal, is_death


class Deadly:
    """Rows; whoever loads one of some kills itself, as often as the files in a folder do not say yet."""

    def __init__(self, rows, folder, *, deadly=(), times=1):
        self.rows, self.folder, self.deadly, self.times = rows, folder, deadly, times

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        for time_number in range(self.times if index in self.deadly else 0):
            mark = self.folder / f"died-{index}-{time_number}"
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return self.rows[index]


class DeadlyStream(IterableDataset):
    """Rows with noise; whoever reads the tenth of the second pass kills itself, where there is a file to remove."""

    def __init__(self, rows, mark):
        self.rows, self.mark = rows, mark
        self.epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        for number, row in enumerate(self.rows):
            if self.epoch == 1 and number == 9 and self.mark.exists():
                self.mark.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            ids = row["input_ids"].clone()
            ids[1:] = torch.randint(32, (7,))
            yield {"input_ids": ids, "labels": ids}


@pytest.fixture
def train(build_lm, numbered_rows, arguments, tmp_path):
    def run(trainer_class=StrategyTrainer, *, resume=None, deadly=(), times=1, data=None, collator=None, **changes):
        settings = {"save_strategy": "no", "dataloader_num_workers": 2, **changes}
        trainer = trainer_class(
            build_lm(),
            arguments(**settings),
            train_dataset=data or Deadly(numbered_rows, tmp_path, deadly=deadly, times=times),
            data_collator=collator,
            max_broken_share=1.0,
            callbacks=[EventLogCallback(tmp_path / "out" / "events.jsonl")],
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return run


def assert_same_run(ours, theirs):
    assert ours.model.seen == theirs.model.seen
    for one, other in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("persistent", [False, True])
def test_a_killed_worker_is_started_again_from_its_position(train, tmp_path, capsys, persistent):
    whole = train(dataloader_num_workers=0)
    far_apart = shuffled_indices(np.array([4, 23]), 24, seed=42, epoch=0).tolist()  # workers are 16 samples ahead
    mended = train(deadly=far_apart, dataloader_persistent_workers=persistent)
    assert_same_run(mended, whole)
    restarts = [event for event in read_events(tmp_path / "out" / "events.jsonl") if event["event"] == "worker"]
    assert 2 <= len(restarts) == capsys.readouterr().out.count("data loader restarted behind batch")
    assert all("DataLoader worker" in event["reason"] for event in restarts)


def test_a_worker_that_dies_during_a_step_does_not_break_it(train):
    class Killing(StrategyTrainer):
        steps = 0

        def training_step(self, model, inputs, num_items_in_batch=None):
            self.steps += 1
            if self.steps == 4:
                os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
                time.sleep(0.3)  # SIGCHLD comes here, in the middle of the update
            return super().training_step(model, inputs, num_items_in_batch)

    whole, mended = train(dataloader_num_workers=0), train(Killing)
    assert_same_run(mended, whole)


def test_a_stream_is_read_again_in_the_same_pass(train, numbered_rows, tmp_path):
    def collate(samples):
        if any(int(sample["input_ids"][0]) == 2 for sample in samples):
            raise ValueError("no text")
        return default_data_collator(samples)

    stream, how = DeadlyStream(numbered_rows, tmp_path / "mark"), {"collator": collate, "dataloader_num_workers": 1}
    whole = train(data=stream, save_strategy="steps", **how)
    broken = (tmp_path / "out" / "broken_samples.jsonl").read_text()
    stream.mark.touch()
    mended = train(data=stream, resume=f"{tmp_path}/out/checkpoint-4", **how)
    assert not stream.mark.exists()
    assert (tmp_path / "out" / "broken_samples.jsonl").read_text() == broken
    assert broken.count("ValueError: no text") == 3  # once in each pass
    assert mended.model.seen == whole.model.seen[32:]
    for one, other in zip(mended.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_a_worker_refuses_is_told_in_a_line(train, tmp_path):
    class Unreadable(Deadly):
        def __getitem__(self, index):
            raise OSError("unreadable")

    told = []
    for workers in (0, 1):
        with pytest.raises(UserError) as caught:
            train(data=Unreadable(range(24), tmp_path), dataloader_num_workers=workers)
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert told[0].startswith("sample ")
    assert len(told[0].splitlines()) == 1


def test_a_resumed_run_restarts_from_its_own_position(train, tmp_path):
    whole = train(dataloader_num_workers=0, save_strategy="steps")
    resumed = train(resume=f"{tmp_path}/out/checkpoint-4", deadly=[whole.model.seen[44]])
    assert list(tmp_path.glob("died-*"))
    assert resumed.model.seen == whole.model.seen[32:]
    for one, other in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_fourth_death_at_one_place_ends_training(train, tmp_path):
    with pytest.raises(UserError, match=r"died 4 times before batch \d+ came"):
        train(deadly=(3,), times=9)
    assert len(list(tmp_path.glob("died-3-*"))) == 4


def test_a_death_is_told_at_the_next_fetch_and_not_before():
    told = []
    before = signal.signal(signal.SIGCHLD, lambda *_: told.append("now"))
    try:
        held = HeldSignal(needed=True)
        signal.raise_signal(signal.SIGCHLD)
        assert told == []
        with held.delivered():
            assert told == ["now"]
            signal.raise_signal(signal.SIGCHLD)
            assert told == ["now", "now"]
        with held.delivered():
            assert len(told) == 2
        held.release()
        signal.raise_signal(signal.SIGCHLD)
        assert len(told) == 3
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize(
    ("error", "dead"),
    [
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), True),
        (RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"), True),
        (ConnectionResetError(104, "Connection reset by peer"), True),  # dying: torch still takes it for alive
        (EOFError(), True),
        (RuntimeError("received 0 items of ancdata"), True),
        (ConnectionResetError("Caught ConnectionResetError in pin memory thread for device 0."), True),
        (OSError("Caught OSError in DataLoader worker process 1.\nTraceback ..."), False),
        (RuntimeError("stack expects each tensor to be equal size"), False),
    ],
)
def test_a_lost_worker_is_told_from_an_error_that_a_worker_reports(error, dead):
    assert is_death(error) is dead


def test_without_workers_a_lost_connection_is_the_datas_own():
    def read():
        raise ConnectionResetError(104, "Connection reset by peer")
        yield

    alone = HeldSignal(needed=False)
    batches = Delivery(read(), lambda _: read(), num_batches=0, deaths=alone, tell=lambda *_: None, keyed=True)
    with pytest.raises(ConnectionResetError):
        next(batches)
