"""Interrupted at any step and resumed is never interrupted, down to the last bit of everything that a run leaves."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset
from transformers import DataCollatorForLanguageModeling, TrainerCallback
from transformers.trainer_callback import ExportableState

from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.data.framing import Framing
from hf_strategies.data.packing import PackedBlocks
from hf_strategies.data.streaming import StreamingBlocks
from hf_strategies.data.token_stream import TokenStream
from hf_strategies.reports.events import read_events
from hf_strategies.training import StrategyTrainer

UPDATES = 9  # of 2 x 4 samples; 24 samples are three to an epoch: the fifth stands in the second epoch, the ninth ends
TIMED = {"time", "train_runtime", "train_samples_per_second", "train_steps_per_second"}


class Noise:
    """A data set whose samples come with noise from all three global streams, as augmentation adds it."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return noisy(self.rows[index])


def noisy(row):
    ids = row["input_ids"].clone()
    ids[random.randrange(8)] = np.random.randint(32)
    ids[int(torch.randint(8, ()))] = 5
    return {"input_ids": ids}


class NoisyStream(IterableDataset):
    def __init__(self, rows, times=9):
        self.rows = rows * times

    def __iter__(self):
        return map(noisy, self.rows)


class Counter(TrainerCallback, ExportableState):
    """Counts updates, as a callback with a memory does."""

    def __init__(self):
        self.updates = 0

    def on_step_end(self, args, state, control, **kwargs):
        self.updates += 1

    def state(self):
        return {"args": {}, "attributes": {"updates": self.updates}}


@pytest.fixture
def masking(byte_tokenizer):
    """A collator that masks 40% of the tokens; of these 10% become random words."""
    byte_tokenizer.mask_token = "<pad>"
    return DataCollatorForLanguageModeling(byte_tokenizer, mlm_probability=0.4)


@pytest.fixture
def packed():
    """Twenty-four blocks of 8 tokens, documents kept apart."""
    ids = np.random.default_rng(0).integers(1, 32, 24 * 7 + 1).astype(np.uint16)
    starts = np.arange(0, len(ids), 11)
    stream = TokenStream(ids, starts, np.full(len(starts), 10), np.full(len(starts), 10))
    return PackedBlocks(stream, 8, pad_token_id=0, isolate_documents=True)


@pytest.fixture
def streamed(byte_tokenizer):
    """Blocks read while training; the digits' ids are no larger than the model knows."""
    texts = [str(number) for number in range(325)]
    tokenizer_json = byte_tokenizer.backend_tokenizer.to_str()
    return StreamingBlocks(lambda start: iter(texts[start:]), tokenizer_json, Framing(256, None), 8, pad_token_id=257)


@pytest.fixture
def run(build_lm, arguments, masking, tmp_path):
    """Train in a folder of its own, from a checkpoint of another one where it is named."""

    def train(name, data, *, resume=None, scheduler="cosine", **changes):
        if resume is not None:  # the folder as a run leaves it that is killed after this step, its log running ahead
            later = [f"checkpoint-{step}" for step in range(step_of(resume) + 1, UPDATES + 1)]
            shutil.copytree(resume.parent, tmp_path / name, ignore=lambda *_: later)
        model = build_lm()
        model.resize_token_embeddings(258, mean_resizing=False)
        collator = None if isinstance(data, PackedBlocks) else masking
        args = arguments(**{"max_steps": UPDATES, "logging_steps": 2, "save_total_limit": None, **changes})
        args.output_dir = str(tmp_path / name)
        counter = Counter()
        trainer = StrategyTrainer(
            model,
            args,
            train_dataset=data,
            data_collator=collator,
            scheduler=scheduler,
            callbacks=[EventLogCallback(tmp_path / name / "events.jsonl"), counter],
        )
        trainer.train(resume_from_checkpoint=resume and str(tmp_path / name / resume.name))
        assert counter.updates == args.max_steps
        return tmp_path / name

    return train


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def left_behind(folder: Path) -> dict:
    """All that a run leaves: what its last checkpoint holds and its events, times and speeds aside."""
    last = folder / f"checkpoint-{UPDATES}"
    state = json.loads((last / "trainer_state.json").read_text())
    return {
        "weights": (last / "model.safetensors").read_bytes(),
        "optimizer": torch.load(last / "optimizer.pt"),
        "scheduler": torch.load(last / "scheduler.pt"),
        "random": torch.load(last / "rng_state.pth", weights_only=False),
        "position": json.loads((last / "position.json").read_text()),
        "loss": json.loads((last / "loss_since_log.json").read_text()),
        "state": {name: value for name, value in state.items() if name != "best_model_checkpoint"},
        "events": [
            {name: value for name, value in event.items() if name not in TIMED}
            for event in read_events(folder / "events.jsonl")
            if event["event"] != "run"
        ],
    }


def assert_same(ours, theirs, where="run"):
    assert type(ours) is type(theirs), where
    if isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), where
    elif isinstance(ours, np.ndarray):
        assert (ours == theirs).all(), where
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for name in ours:
            assert_same(ours[name], theirs[name], f"{where}.{name}")
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), where
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(one, other, f"{where}[{number}]")
    else:
        assert ours == theirs, where


def test_interrupted_at_any_step_with_masking_noise_dropout_and_accumulation(run, numbered_rows):
    data = Noise(numbered_rows)
    straight = run("straight", data)
    whole = left_behind(straight)
    for step in range(1, UPDATES + 1):  # the last: killed before it could say that it was done
        resumed = run(f"from-{step}", data, resume=straight / f"checkpoint-{step}")
        assert_same(left_behind(resumed), whole, f"resumed at {step}")


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_change_nothing_before_or_after_a_resume(run, numbered_rows, persistent):
    data = Noise(numbered_rows)
    workers = {"dataloader_num_workers": 2, "dataloader_persistent_workers": persistent}
    whole = left_behind(run("alone", data))
    straight = run("with-workers", data, **workers)
    assert_same(left_behind(straight), whole)
    resumed = run("resumed", data, resume=straight / "checkpoint-4", **workers)
    assert_same(left_behind(resumed), whole)


def test_packed_blocks(run, packed):
    straight = run("straight", packed)
    for step in (3, 7):  # an epoch begins, and in the middle of the third
        resumed = run(f"from-{step}", packed, resume=straight / f"checkpoint-{step}")
        assert_same(left_behind(resumed), left_behind(straight), f"resumed at {step}")


def test_blocks_that_are_streamed(run, streamed):
    straight = run("straight", streamed)
    for step in (1, 4, 9):
        resumed = run(f"from-{step}", streamed, resume=straight / f"checkpoint-{step}")
        assert_same(left_behind(resumed), left_behind(straight), f"resumed at {step}")


def test_a_users_stream_that_draws_on_its_samples(run, numbered_rows):
    data = NoisyStream(numbered_rows)
    straight = run("straight", data)
    resumed = run("resumed", data, resume=straight / "checkpoint-5")
    assert_same(left_behind(resumed), left_behind(straight))


def test_workers_that_live_on_draw_anew_in_each_pass_of_a_stream(run, numbered_rows):
    data = NoisyStream(numbered_rows, times=1)  # of which each worker reads all: a pass has six updates
    workers = {"dataloader_num_workers": 2, "dataloader_persistent_workers": True}
    whole = left_behind(run("straight", data, dataloader_num_workers=2))
    living = run("living", data, **workers)
    assert_same(left_behind(living), whole)
    resumed = run("resumed", data, resume=living / "checkpoint-7", **workers)
    assert_same(left_behind(resumed), whole)


def test_a_run_that_is_made_longer_goes_on_in_its_stream(run, streamed):
    straight = run("straight", streamed, max_steps=12, scheduler="constant")
    short = run("short", streamed, scheduler="constant")
    longer = run("longer", streamed, resume=short / "checkpoint-9", max_steps=12, scheduler="constant")
    ours, theirs = (folder / "checkpoint-12" / "model.safetensors" for folder in (longer, straight))
    assert ours.read_bytes() == theirs.read_bytes()
