"""Two real processes over gloo: together they walk through the one-process order."""

import json
from pathlib import Path

import numpy as np
import pytest

from hf_strategies.randomness import shuffled_indices

TRAIN = """
import json, sys
import torch
from transformers import GPT2Config, GPT2LMHeadModel, TrainingArguments
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.training import StrategyTrainer

folder = sys.argv[1]

def train(name, num_rows, **resume):
    args = TrainingArguments(
        f"{folder}/{num_rows}",
        max_steps=9,
        save_steps=2,
        per_device_train_batch_size=4,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
    )
    rows = torch.zeros(num_rows, 4, dtype=torch.long)
    rows[:, 0] = torch.arange(num_rows)
    seen = []
    def note(module, args, kwargs):
        seen.append(kwargs["input_ids"][:, 0].tolist())
    model = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=32, n_positions=4))
    model.register_forward_pre_hook(note, with_kwargs=True)
    data = [{"input_ids": row, "labels": row} for row in rows]
    StrategyTrainer(model, args, train_dataset=data).train(**resume)
    with open(f"{folder}/{num_rows}/{name}-{args.process_index}.json", "w") as file:
        json.dump(seen, file)

for num_rows, step in ((24, 4), (26, 6)):
    train("straight", num_rows)
    train("resumed", num_rows, resume_from_checkpoint=f"{folder}/{num_rows}/checkpoint-{step}")
leave_process_group()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, launch_ranks) -> Path:
    """Nine updates of 2 x 4 samples, on 24 rows and on 26; then again from the middle of the second epoch."""
    folder = tmp_path_factory.mktemp("two_ranks")
    launch_ranks(TRAIN, str(folder))
    return folder


def seen(folder: Path, run: str) -> list[int]:
    """The samples of each update, rank after rank."""
    ranks = [json.loads((folder / f"{run}-{rank}.json").read_text()) for rank in (0, 1)]
    return [sample for first, second in zip(*ranks, strict=True) for sample in first + second]


def epoch_order(epoch: int, num_rows: int) -> list[int]:
    return shuffled_indices(np.arange(num_rows), num_rows, seed=42, epoch=epoch).tolist()


def test_both_ranks_together_see_the_one_process_order(folder):
    assert seen(folder / "24", "straight") == [row for epoch in range(3) for row in epoch_order(epoch, 24)]


def test_resuming_inside_a_later_epoch_keeps_its_order(folder):
    assert seen(folder / "24", "resumed") == epoch_order(1, 24)[8:] + epoch_order(2, 24)


def test_two_ranks_share_the_two_samples_that_an_epoch_ends_with(folder):
    first, second, third = (epoch_order(epoch, 26) for epoch in range(3))
    assert seen(folder / "26", "straight") == [*first, *second, *third[:8]]
    assert seen(folder / "26", "resumed") == [*second[16:], *third[:8]]
