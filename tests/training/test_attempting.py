"""A disk that takes no more while a run trains: it goes on, and says so."""

import pytest
from transformers import TrainerCallback, TrainingArguments

from hf_strategies import StrategyTrainer
from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.checkpoints.manifest import damages, read_manifest
from hf_strategies.errors import UserError
from hf_strategies.reports.events import read_events
from hf_strategies.training import checkpointing


class FullDisk(TrainerCallback):
    """Lets no file become larger than `size` bytes, from the end of one update to the end of another."""

    def __init__(self, limit, since, until, size):
        self.limit, self.since, self.until, self.size = limit, since, until, size
        self.full = None

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.since:
            self.full = self.limit(self.size)
            self.full.__enter__()
        if state.global_step == self.until:
            self.full.__exit__(None, None, None)


@pytest.fixture
def train(tiny_lm, token_rows, tmp_path, no_file_above):
    def run(since, until, *, size=1000, max_steps=8, **settings):
        args = TrainingArguments(
            tmp_path / "out", use_cpu=True, report_to="none", disable_tqdm=True, max_steps=max_steps, logging_steps=1,
            per_device_train_batch_size=2, **{"save_strategy": "steps", "save_steps": 4, **settings},
        )  # fmt: skip
        log = EventLogCallback(tmp_path / "out" / "events.jsonl")
        disk = FullDisk(no_file_above, since, until, size)
        trainer = StrategyTrainer(tiny_lm, args, train_dataset=token_rows, callbacks=[disk, log])
        trainer.train()
        return trainer

    return run


def checkpoints(tmp_path):
    return sorted(path.name for path in (tmp_path / "out").glob("*checkpoint-*"))


def saves(tmp_path):
    return [event["step"] for event in read_events(tmp_path / "out" / "events.jsonl") if event["event"] == "save"]


def test_it_costs_no_step_and_no_earlier_checkpoint(train, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(checkpointing, "RETRY_UPDATES", 1)
    trainer = train(4, 6, size=10_000)
    assert trainer.state.global_step == 8
    assert saves(tmp_path) == [6, 8]  # tried again after each that failed, and told of those that did not
    assert checkpoints(tmp_path) == ["checkpoint-6", "checkpoint-8"]
    assert all(damages(tmp_path / "out" / name) == [] for name in checkpoints(tmp_path))
    said = capsys.readouterr().out
    assert "WARNING   no checkpoint at step 4: " in said
    assert "the next try is at step 5 at the latest. Free space" in said
    assert not (tmp_path / "out" / ".saving").exists()


def test_events_wait_for_room(train, tmp_path, capsys):
    train(2, 7, size=10)
    log = [event for event in read_events(tmp_path / "out" / "events.jsonl") if event["event"] == "log"]
    assert [event["step"] for event in log] == list(range(1, 9))
    assert capsys.readouterr().out.count("takes no more, events wait in memory: [Errno 27] File too large") == 1


def test_a_mark_that_cannot_be_written_is_told(train, tmp_path, capsys):
    train(5, 11, size=10, max_steps=12)
    assert "healthy" not in read_manifest(tmp_path / "out" / "checkpoint-4")
    assert "checkpoint-4 could not be marked healthy: [Errno 27] File too large" in capsys.readouterr().out


def test_a_finished_run_waits_for_room_for_what_is_saved_nowhere_else(
    train, tmp_path, monkeypatch, capsys, no_file_above
):
    full = no_file_above(10_000)
    trainer = train(6, 8, save_strategy="no")
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            full.__exit__(None, None, None)

    monkeypatch.setattr(checkpointing.time, "sleep", pause)
    full.__enter__()
    trainer.save_last()
    assert pauses == [10.0, 10.0]
    assert capsys.readouterr().out.count("the finished model could not be saved: ") == 2
    assert (tmp_path / "out" / "model.safetensors").stat().st_size > 10_000
    assert (tmp_path / "out" / "trainer_state.json").is_file()


def test_a_finished_run_waits_no_longer_than_it_is_worth(train, monkeypatch, no_file_above):
    monkeypatch.setattr(checkpointing.time, "sleep", pytest.fail)
    trainer = train(5, 7)
    with no_file_above(10_000), pytest.raises(UserError, match="it goes on from its newest checkpoint"):
        trainer.save_last()  # the last update has its checkpoint
