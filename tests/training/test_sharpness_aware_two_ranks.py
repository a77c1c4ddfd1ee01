"""Sharpness-aware steps on two real processes: each climbs its own loss, and what is found there is averaged."""

import copy
import os
import subprocess
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

ROOT = Path(__file__).parents[2]
RHO = 0.5
RATE = 0.5

TRAIN = """
import sys
import torch
from transformers import LlamaForCausalLM, TrainingArguments
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.training import StrategyTrainer

folder, rho, rate = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
args = TrainingArguments(
    f"{folder}/out", max_steps=2, gradient_accumulation_steps=2, per_device_train_batch_size=2, optim="sgd",
    learning_rate=rate, lr_scheduler_type="constant", max_grad_norm=0, train_sampling_strategy="sequential",
    use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="no",
)
rows = torch.load(f"{folder}/rows.pt")
data = [{"input_ids": row, "labels": row} for row in rows]
trainer = StrategyTrainer(LlamaForCausalLM.from_pretrained(folder), args, train_dataset=data, sam_rho=rho)
trainer.train()
assert args.world_size == 2
trainer.save_model()
leave_process_group()
"""


def uphill_gradient(model, rows) -> list[torch.Tensor]:
    """The gradient of one micro-batch, by the paper's algorithm on a copy."""
    uphill = copy.deepcopy(model)
    params = list(uphill.parameters())

    def gradient() -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(uphill(input_ids=rows, labels=rows).loss, params)

    grads = gradient()
    norm = torch.sqrt(sum(grad.square().sum() for grad in grads))
    for param, grad in zip(params, grads):
        param.data.add_(grad, alpha=RHO / norm.item())
    return list(gradient())


def test_two_ranks_take_the_mean_of_what_each_finds_uphill(tiny_lm, forked_python, tmp_path):
    tiny_lm.save_pretrained(tmp_path)
    rows = torch.randint(0, 256, (16, 8), generator=torch.Generator().manual_seed(0))
    torch.save(rows, tmp_path / "rows.pt")
    (tmp_path / "train.py").write_text(TRAIN)
    launcher = [forked_python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    subprocess.run(
        [*launcher, str(tmp_path / "train.py"), str(tmp_path), str(RHO), str(RATE)],
        check=True,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        timeout=120,
    )

    for update in rows.split(8):  # two micro-batches on each of two ranks
        found = [uphill_gradient(tiny_lm, micro_batch) for micro_batch in update.split(2)]
        for param, *grads in zip(tiny_lm.parameters(), *found, strict=True):
            param.data.sub_(sum(grads), alpha=RATE / 4)
    trained = LlamaForCausalLM.from_pretrained(tmp_path / "out")
    for ours, expected in zip(trained.parameters(), tiny_lm.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
