import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
# One small model for all: what a launch takes its time for is imports.
PRETRAIN = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "tokenizer": "bytes",
    "vocab_size": None,
    "max_seq_length": 32,
    "optimizer": "adamw",
    "learning_rate": 1.0e-3,
    "eval_strategy": "no",
    "max_eval_samples": 8,
    "num_completions": 0,
    "validation_share": 0.2,
}
FINETUNE = {
    "task": "image-classification",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_train_samples": 64,
    "max_eval_samples": 16,
}
SHARED = {"global_batch_size": "8", "per_device_train_batch_size": 4, "logging_steps": 1, "max_steps": 3}


class Job:
    """`accelerate launch` on one machine, as a process group of its own."""

    def __init__(self, words: list[str], output: Path, *, folder: Path = ROOT, cache: Path, python: str) -> None:
        self.output = output
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where pip puts DeepSpeed's ninja
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_STRATEGIES_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
        environment |= {"PATH": path, "PYTHON_EXEC": python}  # of the ranks, where the launcher starts several
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "accelerate.commands.launch", *words],
                cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def wait(self, timeout: float = 300) -> str:
        """Wait for its end and return all that it said."""
        self.process.wait(timeout)
        return self.said()

    def said(self) -> str:
        return self.output.read_text()

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """Settings, forty short documents, and the cache of their tokens."""
    folder = tmp_path_factory.mktemp("launches")
    documents = [f"Document {n} says: " + " ".join(f"{n} times {k} is {n * k}." for k in range(12)) for n in range(40)]
    (folder / "corpus.txt").write_text("\n\n".join(documents) + "\n")
    jobs = {"pretrain": {**PRETRAIN, "train_file": [str(folder / "corpus.txt")]}, "finetune": FINETUNE}
    for job, settings in jobs.items():
        (folder / f"{job}.yaml").write_text(yaml.safe_dump({**settings, **SHARED}))
    return folder


@pytest.fixture
def launch(shared, forked_python, tmp_path) -> Iterator:
    """Start `accelerate launch --config_file NAME [launcher's flags] scripts/JOB.py [flags]`; kills what is left."""
    jobs: list[Job] = []

    def start(
        name: str,
        job: str,
        *flags: str,
        launcher: tuple[str, ...] = (),
        folder: Path = ROOT,
        python: str = forked_python,
    ) -> Job:
        machine = ROOT / "accelerate_configs" / f"{name}.yaml"
        words = ["--config_file", str(machine), *launcher, str(ROOT / "scripts" / f"{job}.py")]
        output = tmp_path / f"output-{len(jobs)}.txt"
        words += [str(shared / f"{job}.yaml"), *flags]
        jobs.append(Job(words, output, folder=folder, cache=shared / "cache", python=python))
        return jobs[-1]

    yield start
    for started in jobs:
        started.kill()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
