"""The step guard on two real processes over gloo: what one rank meets both skip, however the weights are shared."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BAD = [3, 24, 25, 26]  # updates in which rank 1 alone has no finite loss (the first), or one 50 times too high,
STEEP = 17  # and in which its gradient alone is not finite

TRAIN = """
import hashlib, json, math, sys
import torch
from torch.distributed.tensor import DTensor
from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback, TrainingArguments
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.guard import GuardOptions

folder, mode, bad, steep = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])

def digest(model):
    state = hashlib.sha256()
    for param in model.parameters():
        share = getattr(param, "ds_tensor", param).detach()
        share = share.to_local() if isinstance(share, DTensor) else share
        state.update(share.float().contiguous().numpy().tobytes())
    return state.hexdigest()

class Weights(TrainerCallback):
    def __init__(self):
        self.after = {}
    def on_train_begin(self, args, state, control, model, **kwargs):
        self.after[state.global_step] = digest(model)
    def on_step_end(self, args, state, control, model, **kwargs):
        self.after[state.global_step] = digest(model)

class InfiniteGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, loss):
        return loss.clone()
    @staticmethod
    def backward(ctx, grad):
        return grad * math.inf

class Faulty(StrategyTrainer):
    actions = {}
    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        if self.args.process_index == 1 and self.state.global_step + 1 == steep:
            loss = InfiniteGradient.apply(loss)
        hurt = self.args.process_index == 1 and self.state.global_step + 1 in bad
        return loss * (1.0 if not hurt else math.nan if self.state.global_step < 10 else 50.0)
    def _end_update(self):
        self.actions[self.state.global_step + 1] = self._verdict.action.value
        super()._end_update()

zero = {
    "zero_optimization": {"stage": int(mode[-1])},
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "bf16": {"enabled": mode.startswith("bf16")},
    "zero_allow_untested_optimizer": True,
} if "zero" in mode else None
args = TrainingArguments(
    f"{folder}/out", max_steps=28, per_device_train_batch_size=2, gradient_accumulation_steps=2, learning_rate=1e-3,
    lr_scheduler_type="linear", use_cpu=True, report_to="none", disable_tqdm=True, logging_steps=1,
    save_strategy="steps" if "disk" in mode else "no", save_steps=10,
    deepspeed=zero, bf16=mode.startswith("bf16"),
)
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=2, max_position_embeddings=8, pad_token_id=0,
)
if mode == "fsdp2":
    from transformers.distributed import DistributedConfig
    LlamaForCausalLM(config).save_pretrained(f"{folder}/model")  # on the first rank alone
    torch.distributed.barrier()
    model = LlamaForCausalLM.from_pretrained(f"{folder}/model", distributed_config=DistributedConfig(fsdp_size=2))
else:
    model = LlamaForCausalLM(config)
rows = torch.randint(0, 32, (40, 8), generator=torch.Generator().manual_seed(0))
data = [{"input_ids": row, "labels": row} for row in rows]
weights = Weights()
options = GuardOptions(patience=3, snapshot_steps=0 if "disk" in mode else 10)
trainer = Faulty(model, args, train_dataset=data, callbacks=[weights], guard=options)
trainer.train()
assert args.world_size == 2
whole = sum(param.numel() for param in LlamaForCausalLM(config).parameters())
held = sum(
    (p.ds_tensor if hasattr(p, "ds_tensor") else p.to_local() if isinstance(p, DTensor) else p).numel()
    for p in trainer.model_wrapped.parameters()
)
moments = {int(state["step"]) for state in trainer._live.optimizer.state.values()}
found = {
    "after": weights.after, "actions": trainer.actions, "share": held / whole, "log": trainer.state.log_history,
    "optimizer": type(trainer.optimizer).__name__, "moments": sorted(moments), "updates": trainer.state.global_step,
}
with open(f"{folder}/rank-{args.process_index}.json", "w") as file:
    json.dump(found, file)
leave_process_group()
"""


def launch(forked_python: str, folder: Path, mode: str, bad: list[int], steep: int | None) -> list[dict]:
    (folder / "train.py").write_text(TRAIN)
    launcher = [forked_python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launcher, str(folder / "train.py"), str(folder), mode, json.dumps(bad), json.dumps(steep)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in (0, 1)]


SHARES = {"ddp": 1.0, "ddp-disk": 1.0, "fsdp2": 0.5, "zero1": 1.0, "zero2": 1.0, "zero3": 0.5, "bf16-zero2": 1.0}


@pytest.mark.parametrize("mode", list(SHARES))
def test_what_one_rank_meets_both_skip_and_both_go_back(mode, forked_python, tmp_path):
    if "zero" in mode:
        pytest.importorskip("deepspeed")
    ranks = launch(forked_python, tmp_path, mode, BAD, STEEP)
    for rank in ranks:
        assert rank["share"] == pytest.approx(SHARES[mode], abs=0.1)
        after = {int(step): digest for step, digest in rank["after"].items()}
        not_taken = {int(step): action for step, action in rank["actions"].items() if action != "take"}
        assert not_taken == {3: "skip", STEEP: "skip", 24: "skip", 25: "skip", 26: "rollback"}
        assert after[3] == after[2] != after[4]
        assert after[STEEP] == after[STEEP - 1]
        assert after[25] == after[23]
        assert after[26] == after[10]  # 20 had three good updates after it, and needs 4
        assert len(set(after.values())) == 28 + 1 - 5
        assert rank["updates"] == 28
        rates = [row["learning_rate"] for row in rank["log"] if "learning_rate" in row]
        assert rates == pytest.approx([1e-3 * (1 - step / 28) for step in range(28)])
    assert not {row.get("skipped_updates") for row in ranks[0]["log"]} - {None, 1}


def test_a_clean_run_has_no_false_alarm_on_two_ranks(forked_python, tmp_path):
    ranks = launch(forked_python, tmp_path, "ddp", [], None)
    assert all(set(rank["actions"].values()) == {"take"} for rank in ranks)
