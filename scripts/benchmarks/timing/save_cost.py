"""Save checkpoints with a plain Trainer or with ours, and clock each."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM, Trainer, TrainingArguments, set_seed

from hf_strategies.checkpoints import publishing
from hf_strategies.training import StrategyTrainer

from .trainer_overhead import VOCABULARY, llama_config


@dataclass
class SaveTimes:
    """One save: all of it and what proves it, in seconds, and the size of the checkpoint."""

    whole: float
    proof: float
    num_bytes: int


def save(ours: bool, folder: Path, num_saves: int, hidden_size: int, num_hidden_layers: int) -> list[SaveTimes]:
    """Train a Llama on short rows and save after each update; the first save, which warms up, is left out."""
    set_seed(0)
    rows = torch.randint(0, VOCABULARY, (8, 8))
    times: list[SaveTimes] = []
    proofs: list[float] = []

    class Clocked(StrategyTrainer if ours else Trainer):  # type: ignore[misc]
        def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
            proofs.clear()
            whole = _seconds(super()._save_checkpoint, *args, **kwargs)
            files = (folder / f"checkpoint-{self.state.global_step}").rglob("*")
            times.append(SaveTimes(whole, sum(proofs), sum(file.stat().st_size for file in files)))

    write_manifest = publishing.write_manifest
    publishing.write_manifest = lambda *args: proofs.append(_seconds(write_manifest, *args))
    try:
        Clocked(
            LlamaForCausalLM(llama_config(hidden_size, num_hidden_layers)),
            TrainingArguments(
                str(folder), max_steps=num_saves + 1, save_steps=1, save_total_limit=2, report_to="none",
                disable_tqdm=True, per_device_train_batch_size=1, use_cpu=not torch.accelerator.is_available(),
            ),
            train_dataset=[{"input_ids": row, "labels": row} for row in rows],
        ).train()  # fmt: skip
    finally:
        publishing.write_manifest = write_manifest
    return times[1:]


def _seconds(function: Callable[..., Any], *args: Any, **kwargs: Any) -> float:
    start = time.perf_counter()
    function(*args, **kwargs)
    return time.perf_counter() - start
