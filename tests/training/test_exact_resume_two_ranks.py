"""Two real processes over gloo: interrupted and resumed together, they are never interrupted."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from hf_strategies.reports.events import read_events

TIMED = {"time", "train_runtime", "train_samples_per_second", "train_steps_per_second"}

TRAIN = """
import random, sys
import torch
from transformers import GPT2Config, GPT2LMHeadModel, TrainingArguments, default_data_collator
from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.training import StrategyTrainer

folder, resume = sys.argv[1], sys.argv[2] or None

class Rows:
    def __len__(self):
        return 26

    def __getitem__(self, index):
        if index == 11:
            raise OSError("unreadable")
        ids = torch.full((4,), index)
        ids[random.randrange(4)] = 31
        return {"input_ids": ids, "labels": ids}

args = TrainingArguments(
    folder, max_steps=9, save_steps=1, logging_steps=4, per_device_train_batch_size=4, use_cpu=True, report_to="none",
    disable_tqdm=True,
)
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=32, n_positions=4))
trainer = StrategyTrainer(
    model,
    args,
    train_dataset=Rows(),
    data_collator=default_data_collator,
    max_broken_share=0.1,
    callbacks=[EventLogCallback(folder + "/events.jsonl")],
)
trainer.train(resume_from_checkpoint=resume)
leave_process_group()
"""


def events(folder: Path) -> list[dict]:
    found = read_events(folder / "events.jsonl")
    return [{n: v for n, v in event.items() if n not in TIMED} for event in found if event["event"] != "run"]


@pytest.mark.parametrize("step", [6])  # in the second epoch, two updates behind the last log
def test_both_ranks_go_on_as_if_never_stopped(tmp_path, launch_ranks, step):
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    launch_ranks(TRAIN, str(straight), "")
    later = [f"checkpoint-{number}" for number in range(step + 1, 10)]
    shutil.copytree(straight, resumed, ignore=lambda *_: later)
    launch_ranks(TRAIN, str(resumed), str(resumed / f"checkpoint-{step}"))
    ours, theirs = resumed / "checkpoint-9", straight / "checkpoint-9"
    assert (ours / "model.safetensors").read_bytes() == (theirs / "model.safetensors").read_bytes()
    for rank in range(2):
        one, other = (
            torch.load(folder / f"rng_state_{rank}.pth", weights_only=False)["cpu"] for folder in (ours, theirs)
        )
        assert torch.equal(one, other)
        assert (ours / f"loss_since_log_{rank}.json").read_bytes() == (
            theirs / f"loss_since_log_{rank}.json"
        ).read_bytes()
    assert events(resumed) == events(straight)
    lists = [sorted((folder / "broken_samples.jsonl").read_text().splitlines()) for folder in (resumed, straight)]
    assert lists[0] == lists[1]
    assert {json.loads(line)["index"] for line in lists[0]} == {11}
