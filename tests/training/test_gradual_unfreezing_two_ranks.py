"""Blocks that join late under DDP: two real processes come to what one process comes to."""

import os
import subprocess
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from hf_strategies.optimizers import OptimizerFactory
from hf_strategies.training import StrategyTrainer

ROOT = Path(__file__).parents[2]

TRAIN = """
import sys
import torch
from transformers import LlamaForCausalLM, TrainingArguments
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.errors import UserError
from hf_strategies.optimizers import OptimizerFactory
from hf_strategies.training import StrategyTrainer

folder = sys.argv[1]
rows = torch.load(f"{folder}/rows.pt")
settings = {"name": "sgd", "lr": 0.5, "param_groups": {"unfreeze_every": 2, "unfrozen_at_start": 1}}

def build(**changes):
    args = TrainingArguments(
        f"{folder}/out", max_steps=6, per_device_train_batch_size=2, max_grad_norm=0, warmup_steps=2,
        train_sampling_strategy="sequential", use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="no",
        **changes,
    )
    assert args.world_size == 2
    return StrategyTrainer(
        LlamaForCausalLM.from_pretrained(folder), args, train_dataset=[{"input_ids": r, "labels": r} for r in rows],
        scheduler="linear", optimizer_cls_and_kwargs=(OptimizerFactory, settings),
    )

try:
    build(ddp_find_unused_parameters=False).train()
    raise SystemExit("DDP would have waited for frozen weights")
except UserError as error:
    assert "needs ddp_find_unused_parameters" in str(error), error
trainer = build()
trainer.train()
trainer.save_model(f"{folder}/two")
leave_process_group()
"""


def test_two_ranks_come_to_what_one_process_comes_to(tiny_lm, arguments, forked_python, tmp_path):
    tiny_lm.save_pretrained(tmp_path)
    rows = torch.randint(0, 256, (24, 8), generator=torch.Generator().manual_seed(0))
    torch.save(rows, tmp_path / "rows.pt")
    (tmp_path / "train.py").write_text(TRAIN)
    launcher = [forked_python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    subprocess.run(
        [*launcher, str(tmp_path / "train.py"), str(tmp_path)],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        timeout=240,
    )
    two = LlamaForCausalLM.from_pretrained(tmp_path / "two")

    settings = {"name": "sgd", "lr": 0.5, "param_groups": {"unfreeze_every": 2, "unfrozen_at_start": 1}}
    trainer = StrategyTrainer(
        LlamaForCausalLM.from_pretrained(tmp_path),
        arguments(
            max_steps=6,
            gradient_accumulation_steps=1,
            max_grad_norm=0,
            warmup_steps=2,
            train_sampling_strategy="sequential",
            save_strategy="no",
        ),
        train_dataset=[{"input_ids": row, "labels": row} for row in rows],
        scheduler="linear",
        optimizer_cls_and_kwargs=(OptimizerFactory, settings),
    )
    trainer.train()
    for (name, one), other in zip(trainer.model.named_parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5, msg=name)
        moved = (one - tiny_lm.get_parameter(name)).abs().max()
        assert moved > 1e-6, name
