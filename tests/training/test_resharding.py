"""Real processes over gloo: a run goes on with more of them, with fewer, and with another engine, as if never stopped.

All runs are forked from one process that has imported the libraries once.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from accelerate import FullyShardedDataParallelPlugin
from transformers import AutoModelForCausalLM

from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
from hf_strategies.checkpoints.conversion import convert
from hf_strategies.checkpoints.layout import Layout, layout_of
from hf_strategies.checkpoints.zero_state import ZeroState
from hf_strategies.errors import UserError
from hf_strategies.training import StrategyTrainer

ROOT = Path(__file__).parents[2]

RUN = """
import json, multiprocessing, os, random, socket, sys
import torch
from torch import distributed, nn
from transformers import GPT2Config, GPT2LMHeadModel, TrainerCallback, TrainingArguments
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.optimizers import OptimizerFactory
from hf_strategies.training import StrategyTrainer

torch.set_num_threads(1)
folder, tasks = sys.argv[1], json.loads(sys.argv[2])
if any("stage" in task for task in tasks):
    import deepspeed

SIZES = dict(n_embd=16, n_layer=2, n_head=2, vocab_size=32, n_positions=8)
rows = torch.randint(0, 32, (32, 8), generator=torch.Generator().manual_seed(0))
rows[:, 0] = torch.arange(32)
data = [{"input_ids": row, "labels": row} for row in rows]

class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.step

def build_lm(seed):
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(GPT2Config(**SIZES, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))
    model.transformer.wpe.requires_grad_(False)
    return model

def train(rank, processes, name, until, stage=None, stages=1, resume=None, optimizer="adamw"):
    zero = stage and {
        "zero_optimization": {"stage": stage}, "gradient_clipping": "auto", "zero_allow_untested_optimizer": True,
        "train_micro_batch_size_per_gpu": "auto", "gradient_accumulation_steps": "auto",
        **({"pipeline": {"stages": stages}} if stages > 1 else {}),
    }
    args = TrainingArguments(
        f"{folder}/{name}", max_steps=8, save_steps=2, logging_steps=1, weight_decay=0.1, use_cpu=True,
        per_device_train_batch_size=4 * stages // processes, gradient_accumulation_steps=2, report_to="none",
        disable_tqdm=True, deepspeed=zero,
    )
    model, seen = build_lm(seed=0 if resume is None else 1), []
    model.register_forward_pre_hook(
        lambda module, _, kwargs: seen.append(kwargs["input_ids"][:, 0].tolist()), with_kwargs=True
    )
    settings = {"name": optimizer, "lr": 1e-2, "weight_decay": 0.1}
    trainer = StrategyTrainer(
        model, args, train_dataset=data, callbacks=[StopAt(until)],
        optimizer_cls_and_kwargs=(OptimizerFactory, settings),
    )
    trainer.train(resume_from_checkpoint=resume and f"{folder}/{resume}")
    losses = {row["step"]: row["loss"] for row in trainer.state.log_history if "loss" in row}
    if rank % (processes // stages) == rank:  # stages see the same samples
        with open(f"{folder}/{name}/told-{rank}.json", "w") as file:
            json.dump({"seen": seen, "losses": losses}, file)

def start(rank, port, processes, **task):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    train(rank, processes, **task)
    leave_process_group()

for task in tasks:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ranks = [
        multiprocessing.get_context("fork").Process(target=start, args=(rank, port), kwargs=task)
        for rank in range(task["processes"])
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    if any(rank.exitcode for rank in ranks):
        sys.exit(f"{task} failed")
"""


def launch(forked_python: str, folder: Path, tasks: list[dict]) -> str:
    done = subprocess.run(
        [forked_python, "-c", RUN, str(folder), json.dumps(tasks)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def link(name: str, processes: int, until: int, resume: str | None = None, **more) -> dict:
    return {"name": name, "processes": processes, "until": until, "resume": resume, **more}


@pytest.fixture(scope="module")
def replicas(forked_python, tmp_path_factory) -> tuple[Path, str]:
    """Eight updates of 8 samples, two epochs: by one process, and by 1, 2, 4 and 1 that take turns."""
    folder = tmp_path_factory.mktemp("replicas")
    tasks = [
        link("straight", 1, until=8),
        link("one", 1, until=2),
        link("two", 2, until=4, resume="one/checkpoint-2"),
        link("four", 4, until=6, resume="two/checkpoint-4"),
        link("last", 1, until=8, resume="four/checkpoint-6"),
    ]
    return folder, launch(forked_python, folder, tasks)


@pytest.fixture(scope="module")
def zero(forked_python, replicas) -> tuple[Path, str]:
    """The same, by engines that take turns."""
    pytest.importorskip("deepspeed")
    folder, _ = replicas
    tasks = [
        link("zero2", 2, until=2, stage=2),
        link("zero3", 4, until=4, stage=3, resume="zero2/checkpoint-2"),
        link("zero1", 1, until=6, stage=1, resume="zero3/checkpoint-4"),
        link("plain", 2, until=8, resume="zero1/checkpoint-6"),
        link("back", 2, until=8, stage=3, resume="two/checkpoint-4"),
        link("staged", 2, until=4, stage=1, stages=2),
        link("joined", 1, until=8, resume="staged/checkpoint-4"),
        link("split", 2, until=8, stage=1, stages=2, resume="zero1/checkpoint-6"),
    ]
    return folder, launch(forked_python, folder, tasks)


def losses(folder: Path, *names: str) -> list[float]:
    """The loss of each update."""
    found = {}
    for name in names:
        found |= json.loads((folder / name / "told-0.json").read_text())["losses"]
    return [found[step] for step in sorted(found, key=int)]


def seen(folder: Path, *names: str) -> list[list[int]]:
    """The samples of each update, sorted."""
    updates = []
    for name in names:
        files = sorted((folder / name).glob("told-*.json"))
        batches = list(zip(*(json.loads(file.read_text())["seen"] for file in files), strict=True))
        micro = [sorted(sample for batch in ranks for sample in batch) for ranks in batches]
        updates += [sorted(one + other) for one, other in zip(micro[::2], micro[1::2], strict=True)]
    return updates


CHAIN = ("one", "two", "four", "last")
ENGINES = ("zero2", "zero3", "zero1", "plain")


def check_samples(folder: Path, chain: tuple[str, ...]) -> None:
    updates = seen(folder, *chain)
    assert updates == seen(folder, "straight")
    for epoch in (updates[:4], updates[4:]):
        assert sorted(sample for update in epoch for sample in update) == list(range(32))


def test_every_sample_of_an_epoch_is_seen_once_whatever_the_number_of_processes(replicas):
    check_samples(replicas[0], CHAIN)


def test_losses_go_on_where_they_were_with_another_number_of_processes(replicas):
    assert losses(replicas[0], *CHAIN) == pytest.approx(losses(replicas[0], "straight"), rel=1e-5)


def test_a_change_of_processes_is_told_once(replicas):
    taken = "its weights, optimizer and place in the data are taken over by"
    lines = [line for line in replicas[1].splitlines() if taken in line]
    assert lines == [
        f"checkpoint-2 is of 1 process: {taken} 2 processes with DDP; dropout draws anew",
        f"checkpoint-4 is of 2 processes with DDP: {taken} 4 processes with DDP; dropout draws anew",
        f"checkpoint-6 is of 4 processes with DDP: {taken} 1 process; dropout draws anew",
    ]


def test_every_sample_is_seen_once_whatever_the_engine(zero):
    check_samples(zero[0], ENGINES)


def test_losses_go_on_where_they_were_with_another_engine(zero):
    folder, _ = zero
    assert losses(folder, *ENGINES) == pytest.approx(losses(folder, "straight"), rel=1e-5)
    assert losses(folder, "back") == pytest.approx(losses(folder, "straight"), rel=1e-5)


def test_stages_of_a_pipeline_are_joined_and_split(zero):
    folder, _ = zero
    check_samples(folder, ("staged", "joined"))
    assert losses(folder, "staged", "joined") == pytest.approx(losses(folder, "straight"), rel=1e-5)
    assert losses(folder, "split") == pytest.approx(losses(folder, "straight"), rel=1e-5)


def test_a_change_of_engine_is_told_once(zero):
    told = re.findall(r"(checkpoint-\d) is of (.*): its .* are taken over by (.*?)(?:;.*)?\n", zero[1])
    assert told == [
        ("checkpoint-2", "2 processes with ZeRO-2", "4 processes with ZeRO-3"),
        ("checkpoint-4", "4 processes with ZeRO-3", "1 process with ZeRO-1"),
        ("checkpoint-6", "1 process with ZeRO-1", "2 processes with DDP"),
        ("checkpoint-4", "2 processes with DDP", "2 processes with ZeRO-3"),
        ("checkpoint-4", "2 processes with ZeRO-1 in 2 stages", "1 process"),
        ("checkpoint-6", "1 process with ZeRO-1", "2 processes with ZeRO-1 in 2 stages"),
    ]


def test_shards_of_zero3_become_a_model_that_one_process_loads(zero, tmp_path):
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

    run = zero[0] / "zero3"
    assert layout_of(run / "checkpoint-4") == Layout("ZeRO-3", 4)
    assert not (run / "checkpoint-4" / "model.safetensors").exists()
    convert(run, tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    expected = get_fp32_state_dict_from_zero_checkpoint(run / "checkpoint-4")
    for name, param in model.named_parameters():
        assert torch.equal(param, expected[name]), name


def test_a_part_that_is_missing_is_named(zero, tmp_path):
    checkpoint = tmp_path / "checkpoint-4"
    shutil.copytree(zero[0] / "zero3" / "checkpoint-4", checkpoint)
    (checkpoint / "global_step4" / "zero_pp_rank_1_mp_rank_00_optim_states.pt").unlink()
    with pytest.raises(UserError, match="lacks the part of process 1: bring the files of all of them together"):
        ZeroState(checkpoint)


def test_streams_of_other_processes_begin_anew_as_a_function_of_the_update(tiny_lm, arguments, token_rows, tmp_path):
    for rank in range(2):
        (tmp_path / f"rng_state_{rank}.pth").touch()
    trainer = StrategyTrainer(tiny_lm, arguments(), train_dataset=token_rows)
    draws = []
    for step in (3, 3, 4):
        trainer.state.global_step = step
        trainer._load_rng_state(str(tmp_path))
        draws.append(torch.rand(3).tolist())
    assert draws[0] == draws[1] != draws[2]


def test_shards_of_fsdp_are_written_beside_the_model_s_config(tiny_lm, arguments, token_rows, tmp_path):
    trainer = StrategyTrainer(tiny_lm, arguments(), train_dataset=token_rows)
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, state_dict_type="SHARDED_STATE_DICT")
    trainer.accelerator.state.fsdp_plugin, trainer.is_fsdp_enabled = plugin, True
    trainer.save_model(tmp_path / "checkpoint-1")
    names = {path.name for path in (tmp_path / "checkpoint-1").iterdir()}
    assert names == {"config.json", "generation_config.json", "training_args.bin"}
    assert json.loads((tmp_path / "checkpoint-1" / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]


def test_what_cannot_be_shared_in_another_way_is_refused_in_a_line(tiny_lm, arguments, token_rows, tmp_path):
    args = arguments(save_strategy="steps", save_steps=2, max_steps=2)
    trainer = StrategyTrainer(tiny_lm, args, train_dataset=token_rows, callbacks=[WeightAveragingCallback("swa")])
    trainer.train()
    checkpoint = tmp_path / "out" / "checkpoint-2"
    (checkpoint / "manifest.json").unlink()
    (checkpoint / "global_step2").mkdir()  # as DeepSpeed without ZeRO leaves it
    said = "is of 1 process with DeepSpeed, this run of 1 process: an average of weights goes on only as it was shared"
    with pytest.raises(UserError, match=said):
        trainer.train(resume_from_checkpoint=str(checkpoint))
    (checkpoint / "averages.safetensors").unlink()
    with pytest.raises(UserError, match="DeepSpeed without ZeRO goes on only where it began; ZeRO-1 goes on anywhere"):
        trainer.train(resume_from_checkpoint=str(checkpoint))
