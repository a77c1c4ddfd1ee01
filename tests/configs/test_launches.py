"""Every machine that a CPU can run, launched as it is shipped."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from tests.configs.machine_classes import LAUNCHED
from tests.configs.reading import events

HAS_DEEPSPEED = all(importlib.util.find_spec(name) for name in ("deepspeed", "ninja"))
NODES = [name for name in LAUNCHED if name.startswith("multi_node")]
# Each machine with one job, the main engines with both: a launch takes some ten seconds on two idle cores.
USUAL = {
    ("cpu", "finetune"), ("single_gpu", "pretrain"),
    ("ddp", "pretrain"), ("ddp", "finetune"), ("ddp_bf16", "finetune"),
    ("zero1", "pretrain"), ("zero2", "pretrain"), ("zero2", "finetune"), ("zero2_bf16", "finetune"),
    ("zero2_offload", "pretrain"), ("zero3", "pretrain"), ("zero3", "finetune"), ("zero3_bf16", "pretrain"),
    ("zero3_offload", "finetune"), ("pipeline", "pretrain"), ("pipeline_bf16", "pretrain"),
}  # fmt: skip
FRESH = (("zero2", "pretrain"),)  # its ranks import all themselves; those of others are forked
PIPELINES = ("pipeline", "pipeline_bf16")  # of causal language models: not what is fine-tuned here
PAIRS = [
    (name, job)
    for name in LAUNCHED
    for job in ("pretrain", "finetune")
    if name not in NODES and (name not in PIPELINES or job == "pretrain")
]
ENGINES = {
    "cpu": "one process",
    "single_gpu": "one process",
    "ddp": "DDP, 2 processes",
    "pipeline": "DeepSpeed ZeRO-1, 2 processes = pipeline 2 x data 1",
} | {f"zero{stage}": f"DeepSpeed ZeRO-{stage}, 2 processes" for stage in (1, 2, 3)}


def shapes_in(path: Path) -> list[list[int]]:
    with safe_open(path, "pt") as weights:
        return [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118


@pytest.mark.parametrize(("name", "job"), PAIRS, ids=lambda word: word)
def test_a_machine_trains_as_it_is(name, job, launch, tmp_path):
    if (name, job) not in USUAL and "HF_STRATEGIES_ALL_LAUNCHES" not in os.environ:
        pytest.skip("one of both jobs is enough here; HF_STRATEGIES_ALL_LAUNCHES=1 launches them all")
    if name.startswith(("zero", "pipeline")) and not HAS_DEEPSPEED:
        pytest.skip("needs deepspeed and ninja: pip install 'hf_strategies[deepspeed]'")
    out = tmp_path / "out"
    fixed = name.rpartition("_")[2] == "bf16"
    python = {"python": sys.executable} if (name, job) in FRESH else {}
    started = launch(name, job, "--output_dir", str(out), *([] if fixed else ["--bf16", "false"]), **python)
    said = started.wait()
    assert started.process.returncode == 0, said[-3000:]

    engine = ENGINES[name if name in ENGINES else name.partition("_")[0]]
    world = 2 if "2 processes" in engine else 1
    replicas = 1 if "pipeline" in engine else world
    tokens = " x 32 = 256 tokens" if job == "pretrain" else ""
    accumulation = f"micro-batch 4 x accumulation {2 // replicas} x {replicas} replicas"
    line = f"engine    {engine}, {'bf16' if fixed else 'float32'}; 8 sequences{tokens} per update ({accumulation})"
    assert [told for told in said.splitlines() if told.startswith("engine")] == [line]
    (begun,) = events(out, "run")
    assert (begun["world_size"], begun["max_steps"]) == (world, 3)
    losses = [event["loss"] for event in events(out, "log")]
    assert len(losses) == 3
    untrained = 5.55 if job == "pretrain" else 2.3  # of 257 tokens, and of 10 classes
    assert losses[0] == pytest.approx(untrained, rel=0.25)
    assert "eval_loss" in json.loads((out / "all_results.json").read_text())
    shapes = [shape for path in out.glob("model*.safetensors") for shape in shapes_in(path)]
    assert len(shapes) > 10
    assert [] not in shapes
    assert [0] not in shapes  # what ZeRO-3 leaves of a weight where nobody gathers it
