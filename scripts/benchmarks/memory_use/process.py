"""One process: train a run's first updates, and say what memory that took.

Everything that is imported, also at the first update, has been before memory is looked at: a model of a few thousand
parameters is trained in the same way first.
"""

import ctypes
import gc
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainerCallback, set_seed

from hf_strategies.optimizers import OptimizerFactory
from hf_strategies.planning.memory_request import MemoryRequest, parse_memory
from hf_strategies.planning.planned_model import PlannedModel
from hf_strategies.runs.process import build_training_arguments, keep_freed_memory, settle_machine
from hf_strategies.runs.strategies import guard_options
from hf_strategies.training import StrategyTrainer

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
TINY = ["--hidden_size", "32", "--num_hidden_layers", "2", "--num_attention_heads", "2", "--vocab_size", "256"]
UPDATES = 6  # with a snapshot wherever there may be one, two are whole by then


class StateBytes(TrainerCallback):
    """Adds up a run's tensors between its last backward pass and what follows."""

    def __init__(self) -> None:
        self.bytes: dict[str, int] = {}

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        model: nn.Module = kwargs["model"]
        params = list(model.parameters())
        self.bytes = {
            "weights": _bytes([*params, *model.buffers()]),
            "gradients": _bytes([param.grad for param in params if param.grad is not None]),
        }

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        kept = [value for state in kwargs["optimizer"].state.values() for value in state.values()]
        self.bytes["optimizer"] = _bytes([value for value in kept if torch.is_tensor(value)])


def measure(words: list[str]) -> dict[str, int]:
    """Return the bytes of a run's states, and the most that it took at once."""
    keep_freed_memory()
    train(parse_memory(tiny(words)))
    gc.collect()
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        ctypes.CDLL(None).malloc_trim(0)
        CLEAR.write_text("5", encoding="ascii")  # the peak begins anew
        before = _status("VmRSS")
    states = train(parse_memory(words))
    peak = torch.cuda.max_memory_allocated() if on_gpu else _status("VmHWM")
    return {"states": sum(states.values()), "peak": peak - before}


def tiny(words: list[str]) -> list[str]:
    """Return a command line for the smallest model of the same kind."""
    kept, skip = [], False
    for word in words:
        if word in ("--parameters", "--vocab_size"):
            skip = True
        elif skip:
            skip = False
        else:
            kept.append(word)
    return [*kept, *TINY]


def train(request: MemoryRequest) -> dict[str, int]:
    """Train and evaluate on random tokens; return the bytes of the run's states."""
    set_seed(0)
    planned = PlannedModel(request)
    arguments = settle_machine(request.arguments)
    arguments = replace(arguments, training={**arguments.training, "max_steps": UPDATES, "save_strategy": "no"})
    with tempfile.TemporaryDirectory() as folder:
        training = {**arguments.training, "output_dir": folder, "eval_strategy": "no"}
        args = build_training_arguments(replace(arguments, training=training), max_seq_length=planned.length)
        strategy, watch = arguments.strategy, StateBytes()
        model = planned.build()
        count = UPDATES * args.train_batch_size * args.gradient_accumulation_steps
        rows = [{name: value[0] for name, value in planned.inputs(1).items()} for _ in range(count)]
        for row in rows:
            row["input_ids"].random_(model.get_input_embeddings().weight.shape[0])
        trainer: Trainer = StrategyTrainer(
            model,
            args,
            train_dataset=rows,
            eval_dataset=rows[: args.per_device_eval_batch_size],
            optimizer_cls_and_kwargs=(
                OptimizerFactory,
                {"name": strategy.optimizer, "lr": 1e-4, **(strategy.optimizer_kwargs or {})},
            ),
            guard=guard_options(arguments.guard),
            callbacks=[watch],
        )
        trainer.train()
    return watch.bytes


def _bytes(tensors: list[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _status(name: str) -> int:
    line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:])))
