"""Machines that take a GPU, and do with one."""

import json

import pytest
import torch

from tests.configs.machine_classes import ON_ONE_GPU

ENGINES = {"fsdp2": "FSDP", "fsdp2_offload": "FSDP", "ddp_fp16": "one process", "zero2_fp16": "DeepSpeed ZeRO-2"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("name", ON_ONE_GPU)
def test_a_machine_trains_on_one_gpu_as_it_is(name, launch, tmp_path):
    out = tmp_path / "out"
    started = launch(name, "pretrain", "--output_dir", str(out), launcher=("--num_processes", "1"))
    said = started.wait()
    assert started.process.returncode == 0, said[-3000:]
    (engine,) = [line for line in said.splitlines() if line.startswith("engine")]
    assert engine.startswith(f"engine    {ENGINES[name]}, ")
    assert ("fp16" in engine) is name.endswith("fp16")
    assert "8 sequences x 32 = 256 tokens per update" in engine
    assert "eval_loss" in json.loads((out / "all_results.json").read_text())
    assert (out / "model.safetensors").stat().st_size > 100_000
