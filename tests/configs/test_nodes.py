"""Two machines on loopback: two launchers form one job, and no process outlives another."""

import importlib.util
import json
import os
import signal
from pathlib import Path

import pytest

from tests.configs.reading import events
from tests.configs.watching import wait_for, workers

LONG = ["--max_steps", "100000", "--save_strategy", "no", "--bf16", "false"]


@pytest.fixture
def launch_nodes(launch, free_port):
    """The two commands of the README, with one process per machine."""

    def start(name: str, *flags: str):
        job = ["--num_machines", "2", "--num_processes", "2", "--main_process_ip", "127.0.0.1"]
        port = ["--main_process_port", str(free_port)]
        return [
            launch(name, "pretrain", *flags, launcher=(*job, *port, "--machine_rank", str(rank))) for rank in (0, 1)
        ]

    return start


def assert_one_job_of_two(said: list[str], out: Path, engine: str) -> None:
    assert f"engine    {engine}, 2 processes, float32; 8 sequences" in said[0]
    assert "engine    " not in said[1]  # rank 0 speaks
    (begun,) = events(out, "run")
    assert begun["world_size"] == 2


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("deepspeed", "ninja")),
    reason="needs deepspeed and ninja: pip install 'hf_strategies[deepspeed]'",
)
def test_two_launchers_train_one_model(launch_nodes, tmp_path):
    out = tmp_path / "out"
    nodes = launch_nodes("multi_node_zero3", "--output_dir", str(out), "--bf16", "false")
    said = [node.wait() for node in nodes]
    assert [node.process.returncode for node in nodes] == [0, 0], said[0][-3000:] + said[1][-3000:]
    assert_one_job_of_two(said, out, "DeepSpeed ZeRO-3")
    assert len(events(out, "log")) == 3
    assert "eval_loss" in json.loads((out / "all_results.json").read_text())


def test_a_process_that_dies_on_one_machine_ends_the_job_on_the_other(launch_nodes, tmp_path):
    out = tmp_path / "out"
    nodes = launch_nodes("multi_node_ddp", "--output_dir", str(out), *LONG)
    wait_for(lambda: "5/100000" in nodes[0].said(), *nodes)
    assert_one_job_of_two([node.said() for node in nodes], out, "DDP")
    (survivor,), (victim,) = map(workers, nodes)
    victim.kill()
    for node in nodes:
        node.wait(60)
        assert node.process.returncode != 0
    assert not survivor.is_running()
    told = [line for line in nodes[0].said().splitlines() if line.startswith("error: ")]
    assert len(told) == 1
    assert told[0].startswith("error: another process of this job has ended or cannot be reached")
    assert nodes[0].said().count("Traceback") == 1  # the launcher's own


def test_a_job_that_is_started_again_goes_on_in_its_folder(launch, tmp_path):
    # Long enough that the first try is not done before it is killed.
    steps = ["--max_steps", "300", "--save_steps", "50", "--logging_steps", "10", "--bf16", "false"]
    job = launch("ddp", "pretrain", *steps, launcher=("--max_restarts", "1"), folder=tmp_path)
    checkpoint = tmp_path / "runs" / "pretrain-1" / "checkpoint-50"
    wait_for(checkpoint.is_dir, job)
    os.kill(workers(job)[1].pid, signal.SIGKILL)
    said = job.wait()
    assert job.process.returncode == 0, said[-3000:]
    assert "resuming from runs/pretrain-1/checkpoint-" in said
    assert [path.name for path in Path(tmp_path, "runs").iterdir()] == ["pretrain-1"]
    assert [event["step"] for event in events(tmp_path / "runs" / "pretrain-1", "log")] == list(range(10, 301, 10))
