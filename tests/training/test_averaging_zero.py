"""Averages under ZeRO on two real processes: of our own rules and of a schedule-free optimizer, beside plain DDP."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGES = (1, 2, 3)

TRAIN = """
import json, os, sys
import torch
from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback, TrainingArguments
from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.optimizers import OptimizerFactory
from hf_strategies.training import StrategyTrainer

folder = sys.argv[1]
rows = torch.randint(1, 32, (24, 8), generator=torch.Generator().manual_seed(0))
data = [{"input_ids": row, "labels": row} for row in rows]

class Size(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        self.kept = sum(tensor.numel() for tensor in self.averaging.tensors())

def train(kind, stage, name="", **resume):
    zero = {
        "zero_optimization": {"stage": stage},
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "zero_allow_untested_optimizer": True,
    }
    saves = {"save_strategy": "steps", "save_steps": 3} if stage in (None, 2, 3) else {"save_strategy": "no"}
    args = TrainingArguments(
        f"{folder}/{kind}-{stage}{name}", max_steps=6, per_device_train_batch_size=4, use_cpu=True, report_to="none",
        disable_tqdm=True, eval_strategy="steps", eval_steps=2, deepspeed=zero if stage else None, logging_steps=1,
        lr_scheduler_type="constant", **saves,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=33, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=8, pad_token_id=0, tie_word_embeddings=True,
    ))
    size, averaging = Size(), WeightAveragingCallback("ema", decay=0.8)
    size.averaging = averaging
    callbacks, optimizer = [averaging, size], {"name": "sgd", "lr": 0.5}
    if kind == "schedule-free":
        callbacks, optimizer = [], {"name": "schedule_free_adamw", "lr": 0.02, "weight_decay": 0.1}
    trainer = StrategyTrainer(
        model, args, train_dataset=data, eval_dataset=data[:8], callbacks=callbacks,
        optimizer_cls_and_kwargs=(OptimizerFactory, optimizer),
    )
    trainer.train(**resume)
    history = trainer.state.log_history
    columns = ("loss", "eval_loss", "grad_norm")
    found = {column: [row[column] for row in history if column in row] for column in columns}
    found["kept"] = getattr(size, "kept", 0)
    return found

told = {}
for kind in ("ema", "schedule-free"):
    for stage in (None, 1, 2, 3):
        told[f"{kind} {stage}"] = train(kind, stage)
    for stage in (2, 3):
        checkpoint = f"{folder}/{kind}-{stage}/checkpoint-3"
        told[f"{kind} {stage} resumed"] = train(kind, stage, "-again", resume_from_checkpoint=checkpoint)
if os.environ["RANK"] == "0":
    with open(f"{folder}/told.json", "w") as file:
        json.dump(told, file)
leave_process_group()
"""


@pytest.fixture(scope="module")
def told(forked_python, tmp_path_factory) -> dict[str, dict]:
    """What each run logged."""
    pytest.importorskip("deepspeed")
    pytest.importorskip("schedulefree")
    folder = tmp_path_factory.mktemp("averaging_zero")
    (folder / "train.py").write_text(TRAIN)
    launcher = [forked_python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launcher, str(folder / "train.py"), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "told.json").read_text())


@pytest.mark.parametrize("kind", ["ema", "schedule-free"])
@pytest.mark.parametrize("stage", STAGES)
def test_shares_are_averaged_as_whole_weights_are(told, kind, stage):
    ours, theirs = told[f"{kind} {stage}"], told[f"{kind} None"]
    assert len(ours["eval_loss"]) == 3
    for curve in ("loss", "eval_loss", "grad_norm"):
        assert ours[curve] == pytest.approx(theirs[curve], rel=1e-5), curve


@pytest.mark.parametrize("kind", ["ema", "schedule-free"])
@pytest.mark.parametrize("stage", [2, 3])
def test_a_resumed_run_goes_on_with_the_weights_that_train(told, kind, stage):
    resumed, straight = told[f"{kind} {stage} resumed"], told[f"{kind} {stage}"]
    assert resumed["loss"] == pytest.approx(straight["loss"], rel=1e-6)
    assert resumed["eval_loss"] == pytest.approx(straight["eval_loss"], rel=1e-6)


@pytest.mark.parametrize("stage", STAGES)
def test_each_rank_keeps_its_half_of_the_average(told, stage):
    whole = told["ema None"]["kept"]
    assert whole / 2 <= told[f"ema {stage}"]["kept"] < whole / 2 * 1.1  # what is above half fills up the last shard
