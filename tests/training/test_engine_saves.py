"""DeepSpeed's engine on two real processes over gloo: a rank that cannot write does not leave the other waiting."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from hf_strategies.checkpoints.choice import checkpoints_in
from hf_strategies.checkpoints.manifest import damages

ROOT = Path(__file__).parents[2]

TRAIN = """
import json, resource, sys
import torch
from transformers import GPT2Config, GPT2LMHeadModel, TrainerCallback, TrainingArguments
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.training import StrategyTrainer

folder, full = sys.argv[1], json.loads(sys.argv[2])

class FullDisk(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        on_full = state.global_step == 2 and args.process_index == full["rank"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (full["size"] if on_full else -1, -1))

zero = {
    "zero_optimization": {"stage": 2},
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "zero_allow_untested_optimizer": True,
}
rows = torch.randint(0, 32, (16, 4), generator=torch.Generator().manual_seed(0))
data = [{"input_ids": row, "labels": row} for row in rows]

def train(steps, rate, resume=None):
    args = TrainingArguments(
        f"{folder}/out", max_steps=steps, save_steps=2, per_device_train_batch_size=2, learning_rate=rate,
        lr_scheduler_type="constant", use_cpu=True, report_to="none", disable_tqdm=True, deepspeed=zero,
    )
    model = GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=1, vocab_size=32, n_positions=4))
    trainer = StrategyTrainer(model, args, train_dataset=data, callbacks=[FullDisk()])
    trainer.changed_settings = ["learning_rate"]
    trainer.train(resume_from_checkpoint=resume)
    return trainer

train(4, 1e-3)
resumed = train(5, 3e-3, f"{folder}/out/checkpoint-4")
rates = [row["learning_rate"] for row in resumed.state.log_history if "learning_rate" in row]
rates += [group["lr"] for group in resumed.optimizer.param_groups]
with open(f"{folder}/rank-{resumed.args.process_index}.json", "w") as file:
    json.dump({"updates": resumed.state.global_step, "rates": rates}, file)
leave_process_group()
"""


@pytest.mark.parametrize(
    "full",
    [{"rank": 1, "size": 1000}, {"rank": 0, "size": 5}],  # bytes: no part of the optimizer; not even the last name
    ids=["the other", "the first"],
)
def test_what_one_rank_cannot_write_is_no_checkpoint_and_the_next_one_is(forked_python, tmp_path, full):
    pytest.importorskip("deepspeed")
    (tmp_path / "train.py").write_text(TRAIN)
    launcher = [forked_python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launcher, str(tmp_path / "train.py"), str(tmp_path), json.dumps(full)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count("WARNING   no checkpoint at step 2: ") == 1
    saved = checkpoints_in(tmp_path / "out")
    assert [path.name for path in saved] == ["checkpoint-5", "checkpoint-4"]
    assert [damages(path) for path in saved] == [[], []]
    for rank in (0, 1):
        found = json.loads((tmp_path / f"rank-{rank}.json").read_text())
        assert found["updates"] == 5
        assert set(found["rates"]) == {3e-3}  # and not what the engine has loaded
