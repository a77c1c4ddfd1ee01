"""Signals from outside, to real processes: one, a launcher's, two ranks."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def settings(corpus, tiny) -> list[str]:
    """Thirty updates with dropout, in no hurry to save."""
    flags = {"max_steps": 30, "save_steps": 100, "eval_steps": 100, "num_completions": 0, "bf16": "false"}
    named = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    return [tiny, "--train_file", str(corpus), "--config_overrides", "attention_dropout=0.1", *named]


def start(command: list[str], **variables: str) -> subprocess.Popen:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**ENVIRONMENT, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    )


def wait_for(process: subprocess.Popen, update: int) -> None:
    for line in process.stdout:
        if line.lstrip().startswith(f"{update}/"):
            return
    raise AssertionError(f"ended before update {update}")


def steps_saved(folder: Path) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in folder.glob("checkpoint-*"))


@pytest.fixture(scope="session")
def straight(settings, forked_python, tmp_path_factory) -> Path:
    """The run that nobody stopped."""
    folder = tmp_path_factory.mktemp("straight") / "out"
    subprocess.run(
        [forked_python, "scripts/pretrain.py", *settings, "--output_dir", str(folder)],
        cwd=ROOT,
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
    )
    return folder


def assert_same_run(folder: Path, straight: Path) -> None:
    ours, theirs = (load_file(path / "model.safetensors") for path in (folder, straight))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    losses = [
        [row["loss"] for row in json.loads((path / "trainer_state.json").read_text())["log_history"] if "loss" in row]
        for path in (folder, straight)
    ]
    assert losses[0] == losses[1]


def test_a_stopped_run_exits_with_143_and_the_same_command_ends_it_as_if_nothing_had_happened(
    settings, straight, forked_python, tmp_path
):
    folder = tmp_path / "out"
    command = [forked_python, "scripts/pretrain.py", *settings, "--output_dir", str(folder)]
    process = start(command)
    wait_for(process, 4)
    process.send_signal(signal.SIGTERM)
    said = process.stdout.read()
    assert process.wait() == 143
    (step,) = steps_saved(folder)
    assert step in (5, 6)  # the update it was in; one more where the row of update 4 was read late
    assert said.splitlines()[-1] == (
        f"stopped: SIGTERM after update {step} of 30; {folder}/checkpoint-{step} is saved: go on with the same "
        f"command and --output_dir {folder}"
    )
    assert not (folder / "all_results.json").exists()
    assert not (folder / "model.safetensors").exists()
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert f"resuming from {folder}/checkpoint-{step}" in done.stdout
    assert_same_run(folder, straight)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_a_signal_to_the_launcher_alone_leaves_a_checkpoint_and_no_orphan(settings, tmp_path):
    folder = tmp_path / "out"
    process = start([*LAUNCH, "scripts/pretrain.py", *settings, "--output_dir", str(folder)])
    wait_for(process, 2)
    process.send_signal(signal.SIGTERM)
    said = process.stdout.read()  # ends when the last process that writes to it has ended
    assert process.wait() == -signal.SIGTERM
    (step,) = steps_saved(folder)
    assert f"stopped: SIGTERM after update {step} of 30" in said


def test_a_signal_to_one_of_two_ranks_stops_both_after_the_same_update(settings, forked_python, tmp_path):
    folder = tmp_path / "out"
    flags = [*settings, "--per_device_train_batch_size", "4", "--output_dir", str(folder)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    ranks = [
        start(
            [forked_python, "scripts/pretrain.py", *flags],
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=port,
            WORLD_SIZE="2",
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            LOCAL_WORLD_SIZE="2",
        )
        for rank in (0, 1)
    ]
    try:
        wait_for(ranks[0], 2)
        ranks[1].send_signal(signal.SIGTERM)
        said = [rank.communicate(timeout=60)[0] for rank in ranks]
        assert [rank.returncode for rank in ranks] == [143, 143], said
        (step,) = steps_saved(folder)
        assert f"stopped: SIGTERM after update {step} of 30" in said[0]
        assert {path.name for path in (folder / f"checkpoint-{step}").glob("rng_state_*")} == {
            "rng_state_0.pth",
            "rng_state_1.pth",
        }
    finally:
        for rank in ranks:
            rank.kill()
