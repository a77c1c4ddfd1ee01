"""Objectives, regularisers and adversarial embeddings on two real processes over gloo: the gradient of one process."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]

TRAIN = """
import itertools, sys
import torch
from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback, TrainingArguments
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.training import StrategyTrainer

folder, rows_per_batch, accumulation = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
CASES = {
    "objective": {"objective": "cross_entropy", "objective_kwargs": {"label_smoothing": 0.1}},
    "terms": {"objective": "focal", "r_drop": 2.0, "z_loss": 0.1},
    "terms of the model's own loss": {"r_drop": 2.0, "z_loss": 0.1},
    "adversarial": {"objective": "cross_entropy", "fgm_epsilon": 0.5},
}

class KeepGradients(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.found = [param.grad.clone() for param in model.parameters()]

def build():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=8, pad_token_id=0,
    )).double()

draws = torch.Generator().manual_seed(0)
ids = torch.randint(1, 32, (8, 8), generator=draws)
labels = ids.masked_fill(torch.rand(8, 8, generator=draws) < 0.5, -100)
labels[:2] = -100  # the first rank's first micro-batch says nothing, but for one token
labels[0, 5] = 7
data = [{"input_ids": row, "labels": marks} for row, marks in zip(ids, labels)]
found = {}
for name, options in CASES.items():
    args = TrainingArguments(
        f"{folder}/{name}", max_steps=1, per_device_train_batch_size=rows_per_batch, max_grad_norm=0,
        gradient_accumulation_steps=accumulation, train_sampling_strategy="sequential", use_cpu=True,
        report_to="none", disable_tqdm=True, save_strategy="no", logging_steps=1,
    )
    model, keep, passes = build(), KeepGradients(), itertools.count()
    if "r_drop" in options:  # dropout would draw anew on each rank: a disturbance of every second pass stands for it
        model.model.norm.register_forward_hook(lambda *call: call[-1] * (1 + 0.5 * (next(passes) % 2)))
    trainer = StrategyTrainer(model, args, train_dataset=data, callbacks=[keep], **options)
    trainer.train()
    found[name] = (keep.found, trainer.state.log_history[0]["loss"])
args = TrainingArguments(
    f"{folder}/evaluation", per_device_eval_batch_size=rows_per_batch, use_cpu=True, report_to="none",
    disable_tqdm=True,
)
evaluation = StrategyTrainer(build(), args, objective="cross_entropy").evaluate(data[:7])["eval_loss"]
if args.process_index == 0:
    torch.save((found, evaluation), f"{folder}/found-{args.world_size}.pt")
leave_process_group()
"""


def launch(forked_python: str, folder: Path, *words: str, processes: int) -> tuple[dict, float]:
    (folder / "train.py").write_text(TRAIN)
    launcher = [forked_python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    done = subprocess.run(
        [*launcher, str(folder / "train.py"), str(folder), *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return torch.load(folder / f"found-{processes}.pt")


def test_two_ranks_with_two_micro_batches_have_the_gradient_of_one_batch(forked_python, tmp_path):
    alone, evaluated_alone = launch(forked_python, tmp_path, "8", "1", processes=1)
    shared, evaluated = launch(forked_python, tmp_path, "2", "2", processes=2)
    assert len(alone) == 4
    assert evaluated == pytest.approx(evaluated_alone, rel=1e-6)  # seven rows, of which one rank repeats the first
    for name, (grads, loss) in alone.items():
        ours, our_loss = shared[name]
        precision = 1e-5 if "terms" in name else 1e-9  # the terms, and this model's own loss, are summed in float32
        for found, expected in zip(ours, grads, strict=True):
            torch.testing.assert_close(found, expected, rtol=precision, atol=precision * expected.abs().max().item())
        assert our_loss == pytest.approx(loss, rel=1e-5)
