"""Train with a plain Trainer or with ours, and add up the time that passes inside our code."""

import contextlib
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from hf_strategies.callbacks.console import ConsoleCallback
from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.callbacks.throughput import ThroughputCallback
from hf_strategies.training import StrategyMixin

VOCABULARY = 4096


class Meter:
    """Adds up seconds; work of the host inside of ours counts negative."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any], sign: float = 1.0) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += sign * (time.perf_counter() - start)

        return timed


class StepClock(TrainerCallback):
    """Times the steps after `num_warmup_steps`, and what `meter` adds up in them."""

    def __init__(self, num_warmup_steps: int, meter: Meter) -> None:
        self.num_warmup_steps = num_warmup_steps
        self.meter = meter
        self.seconds = self.metered = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.num_warmup_steps:
            self.seconds, self.metered = -time.perf_counter(), -self.meter.seconds

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds += time.perf_counter()
        self.metered += self.meter.seconds


def metered_trainer(meter: Meter) -> type[Trainer]:
    """Build StrategyTrainer with a layer above the mixin that adds its time and one below taking off the host's."""
    parts = [part for part in StrategyMixin.__mro__ if part is not object]
    written = {name: value for part in parts for name, value in vars(part).items()}
    overrides = [name for name, value in written.items() if callable(value) and hasattr(Trainer, name)]

    def layer(sign: float) -> type:
        def metered(name: str) -> Callable[..., Any]:
            def method(self: Any, *args: Any, **kwargs: Any) -> Any:
                return meter.around(getattr(super(made, self), name), sign)(*args, **kwargs)

            return method

        made = type("Layer", (), {name: metered(name) for name in overrides if name != "__init__"})
        return made

    return type("MeteredTrainer", (layer(1.0), StrategyMixin, layer(-1.0), Trainer), {})


def metered_callbacks(folder: Path, meter: Meter) -> list[TrainerCallback]:
    """Build the callbacks that do something at steps and logs, each of their methods metered."""
    callbacks = [EventLogCallback(folder / "events.jsonl"), ThroughputCallback(), ConsoleCallback()]
    for callback in callbacks:
        for name in [name for name in vars(type(callback)) if name.startswith("on_") or name == "_count_batch"]:
            setattr(callback, name, meter.around(getattr(callback, name)))
    return callbacks


def llama_config(hidden_size: int, num_hidden_layers: int) -> LlamaConfig:
    """Describe a Llama of a small vocabulary."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden_size,
        intermediate_size=hidden_size * 8 // 3,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=8,
        tie_word_embeddings=True,
    )


def train(ours: bool, folder: Path, *, num_steps: int, num_warmup_steps: int, sizes: dict[str, int]) -> StepClock:
    """Train a fresh model for `num_steps` after the warmup, and return the clock that watched."""
    set_seed(0)
    config = llama_config(sizes["hidden_size"], sizes["num_hidden_layers"])
    rows = torch.randint(0, VOCABULARY, (64, sizes["sequence_length"]))
    args = TrainingArguments(
        str(folder),
        max_steps=num_warmup_steps + num_steps,
        logging_steps=10,
        per_device_train_batch_size=sizes["rows_per_step"],
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=not torch.accelerator.is_available(),
    )
    meter = Meter()
    clock = StepClock(num_warmup_steps, meter)
    trainer = (metered_trainer(meter) if ours else Trainer)(
        LlamaForCausalLM(config),
        args,
        train_dataset=[{"input_ids": row, "labels": row} for row in rows],
        callbacks=[clock, *(metered_callbacks(folder, meter) if ours else [])],
    )
    trainer.remove_callback(PrinterCallback)
    with contextlib.redirect_stdout(io.StringIO()):
        trainer.train()
    return clock
