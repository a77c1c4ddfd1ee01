"""Tiny runs of scripts/pretrain.py in processes that start at once, since they are forked from one that is warm."""

import importlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[2]
WARM = ("hf_strategies.runs.pretraining", "hf_strategies.runs.finetuning", "hf_strategies.planning")

# A run of a second or two that saves, evaluates and logs often.
TINY: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "tokenizer": "bytes", "vocab_size": "none",
    "max_seq_length": 32, "global_batch_size": 8, "max_steps": 20,
    "warmup_steps": 2, "logging_steps": 1, "eval_steps": 10, "save_steps": 4, "save_total_limit": 3,
    "max_eval_samples": 8, "num_completions": 0, "validation_share": 0.2, "use_cpu": True,
}  # fmt: skip


def write_corpus(path: Path) -> Path:
    """Write forty short documents."""
    documents = [f"Document {n} says: " + " ".join(f"{n} times {k} is {n * k}." for k in range(12)) for n in range(40)]
    path.write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    return path


def command(corpus: Path, output: Path, *, ranks: int = 1, **settings: Any) -> list[str]:
    """Write the flags of a tiny run; its global batch is the same for any number of ranks."""
    batch = TINY["global_batch_size"] // ranks
    given = {**TINY, "train_file": corpus, "output_dir": output, "per_device_train_batch_size": batch, **settings}
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


class Runs:
    """Starts runs; a context, since it keeps a warm process.

    Args:
        folder: Where runs write what they say, and where their cache is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._context = multiprocessing.get_context("forkserver")
        self._count = 0

    def __enter__(self) -> "Runs":
        self._context.set_forkserver_preload([__name__, *WARM])
        return self

    def __exit__(self, *_: object) -> None:
        for process in multiprocessing.active_children():
            process.kill()

    def start(self, argv: Sequence[str], env: Mapping[str, str] | None = None, script: str = "pretrain") -> "Run":
        """Start a run with these flags; `script` is a module with a `main`, by its name in the folder of scripts."""
        self._count += 1
        log = self.folder / f"run-{self._count}.txt"
        own = {
            "HF_STRATEGIES_CACHE": str(self.folder / "cache"),
            "HF_STRATEGIES_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            **(env or {}),
        }
        process = self._context.Process(target=_run, args=(script, list(argv), str(log), own))
        process.start()
        return Run(process, log)

    def finish(self, argv: Sequence[str], env: Mapping[str, str] | None = None, script: str = "pretrain") -> "Run":
        """Run to the end."""
        run = self.start(argv, env, script)
        run.wait()
        return run


class Run:
    """One process.

    Args:
        process: The process.
        log: What it says.
    """

    def __init__(self, process: BaseProcess, log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""

    def children(self) -> list[int]:
        """List the processes that it has forked: its data loader's workers. Others have a program of their own."""
        pid = self.process.pid
        found = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split())
        own = Path(f"/proc/{pid}/cmdline").read_bytes()
        return [child for child in found if Path(f"/proc/{child}/cmdline").read_bytes() == own]

    def signal(self, number: int) -> None:
        """Send a signal, if the process is still there."""
        if self.process.is_alive():
            assert self.process.pid is not None
            os.kill(self.process.pid, number)

    def kill(self) -> None:
        """End the process, however far it is."""
        self.process.kill()

    def wait(self, seconds: float = 120.0) -> int | None:
        """Wait for the end and return the exit code, negative for a signal; None where it hangs."""
        self.process.join(seconds)
        return self.process.exitcode

    def wait_until(self, holds: Callable[[], bool], seconds: float = 60.0) -> bool:
        """Look every millisecond until something holds or the process ends; tell whether it held."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.is_alive():
            if holds():
                return True
            time.sleep(0.001)
        return holds()


def _run(script: str, argv: list[str], log: str, env: dict[str, str]) -> None:
    """Be the script, in a process of its own."""
    os.setsid()
    multiprocessing.set_start_method("fork", force=True)  # of the data loader's workers, as in any script on Linux
    os.environ.update(env)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    sys.path.insert(0, str(SCRIPTS))
    importlib.import_module(script).main(argv)
