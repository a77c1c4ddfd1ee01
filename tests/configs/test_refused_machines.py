"""What is asked for and does not run is an error, in one line of rank 0."""

import pytest
import torch


def complaints(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("error: ")]


@pytest.mark.skipif(torch.accelerator.is_available(), reason="asks for FSDP where it does not run")
def test_fsdp_that_would_silently_be_ddp_stops_the_run(launch, tmp_path):
    out = tmp_path / "out"
    started = launch("fsdp2", "pretrain", "--output_dir", str(out), "--bf16", "false")
    said = started.wait()
    assert started.process.returncode != 0
    assert complaints(said) == [
        "error: asked for FSDP, 2 processes, but DDP, 2 processes runs: it needs GPUs; on a CPU take "
        "accelerate_configs/zero3.yaml"
    ]
    assert not out.exists()  # nothing half-written is left


def test_a_launcher_that_starts_one_process_of_two_stops_the_run(launch, tmp_path):
    started = launch("cpu", "pretrain", "--output_dir", str(tmp_path / "out"), launcher=("--num_processes", "2"))
    said = started.wait()
    assert started.process.returncode != 0
    (told,) = complaints(said)
    assert told.startswith(
        "error: several processes were asked for (MASTER_ADDR is set), and the launcher has started"
    )
