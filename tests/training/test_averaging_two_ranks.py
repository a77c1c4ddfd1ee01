"""Averaged weights on two real processes over gloo: whole on each rank, and in FSDP2's shards."""

import json
from pathlib import Path

import pytest

TRAIN = """
import json, sys
from pathlib import Path
import torch
from torch.distributed.tensor import DTensor
from transformers import LlamaConfig, LlamaForCausalLM, TrainerControl, TrainerState, TrainingArguments
from transformers.distributed import DistributedConfig
from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.training import StrategyTrainer

folder, rank = sys.argv[1], None

def build(mode):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=8, pad_token_id=0, tie_word_embeddings=False,
    )
    if mode == "ddp":
        return LlamaForCausalLM(config)
    if rank == 0:
        LlamaForCausalLM(config).save_pretrained(f"{folder}/model")
    torch.distributed.barrier()
    return LlamaForCausalLM.from_pretrained(f"{folder}/model", distributed_config=DistributedConfig(fsdp_size=2))

rows = torch.randint(1, 32, (24, 8), generator=torch.Generator().manual_seed(0))
data = [{"input_ids": row, "labels": row} for row in rows]

def arguments(**changes):
    return TrainingArguments(
        f"{folder}/out", max_steps=6, per_device_train_batch_size=4, learning_rate=0.5, optim="sgd", use_cpu=True,
        report_to="none", disable_tqdm=True, eval_strategy="steps", eval_steps=2, **changes,
    )

def whole(model):
    params = [param.detach() for param in model.parameters()]
    return [param.full_tensor() if isinstance(param, DTensor) else param for param in params]

def train(mode, args, **resume):
    averaging = WeightAveragingCallback("ema", decay=0.8)
    trainer = StrategyTrainer(build(mode), args, train_dataset=data, eval_dataset=data[:8], callbacks=[averaging])
    trainer.train(**resume)
    losses = [row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row]
    return {"losses": losses, "norms": [param.double().norm().item() for param in whole(trainer.model)]}

def save_and_load_shards(args):
    model, folders = build("fsdp2"), Path(folder, "shards")
    folders.mkdir(exist_ok=True)
    averaging, state = WeightAveragingCallback("ema", decay=0.8), TrainerState()
    averaging.on_train_begin(args, state, None, model=model)
    with torch.no_grad():
        for step in (1, 2):
            state.global_step = step
            for param in model.parameters():
                param.mul_(1 + step / 10)
            averaging.on_step_end(args, state, TrainerControl())
    training = whole(model)
    with averaging.in_place():
        averaging.save(folders, args)
        shown = whole(model)
    other = WeightAveragingCallback("ema", decay=0.8)
    other.drive(folders)
    other.on_train_begin(args, state, None, model=model)
    is_shown = all(map(torch.equal, whole(model), shown))
    other.take_out()
    return [is_shown, all(map(torch.equal, whole(model), training)), any(map(torch.equal, shown, training))]

args = arguments(save_strategy="steps", save_steps=3)
rank = args.process_index
told = {"ddp": train("ddp", args), "resumed": train("ddp", args, resume_from_checkpoint=f"{folder}/out/checkpoint-3")}
args = arguments(save_strategy="no")
told |= {"fsdp2": train("fsdp2", args), "shards": save_and_load_shards(args)}
Path(folder, f"{rank}.json").write_text(json.dumps(told))
leave_process_group()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, launch_ranks) -> Path:
    folder = tmp_path_factory.mktemp("averaging")
    launch_ranks(TRAIN, str(folder))
    return folder


@pytest.fixture
def told(folder) -> list[dict]:
    """What each rank came to."""
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def test_every_rank_has_the_same_average(told):
    assert told[0]["ddp"] == told[1]["ddp"]
    assert told[0]["fsdp2"] == told[1]["fsdp2"]


def test_shards_are_averaged_as_whole_weights_are(told):
    ours, theirs = told[0]["fsdp2"], told[0]["ddp"]
    assert len(ours["losses"]) == 3
    assert ours["losses"] == pytest.approx(theirs["losses"], abs=1e-5)
    assert ours["norms"] == pytest.approx(theirs["norms"], rel=1e-5)


def test_a_resumed_run_comes_to_the_same(folder, told):
    assert [path.name for path in (folder / "out" / "checkpoint-3").glob("averages*")] == ["averages.safetensors"]
    assert told[0]["resumed"] == told[0]["ddp"]


def test_each_rank_saves_and_loads_its_shards(folder, told):
    files = sorted(path.name for path in (folder / "shards").iterdir())
    assert files == ["averages_0.safetensors", "averages_1.safetensors"]
    assert told[0]["shards"] == told[1]["shards"] == [True, True, False]
