"""Training throughput: rows, tokens and model FLOPs per second of training, and model FLOPs utilisation (MFU).

Paper: https://arxiv.org/abs/2204.02311, appendix B.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from transformers import PreTrainedConfig, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_strategies.distributed.devices import PeakRate, peak_rate
from hf_strategies.distributed.parallel_sizes import data_replicas
from hf_strategies.models.flops import multiplied_parameters, training_flops_per_token


@dataclass(frozen=True)
class Work:
    """What one rank has trained on.

    Args:
        samples: Rows.
        tokens: Tokens, padding included; 0 for a model whose main input is not token ids.
        attended: Sum over tokens of the length of their row; over `tokens` it is the mean sequence length.
        seconds: Time spent training.
    """

    samples: int = 0
    tokens: int = 0
    attended: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.samples + other.samples,
            self.tokens + other.tokens,
            self.attended + other.attended,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Machine:
    """What the work ran on: data-parallel replicas, devices in all, and the peak of one (None: not known)."""

    num_replicas: int
    num_devices: int
    peak: PeakRate | None


def rates(work: Work, machine: Machine, flops_per_token: Callable[[float], float | None]) -> dict[str, float]:
    """Turn one rank's work into the whole job's rates; other ranks are taken to have done as much.

    Args:
        work: One rank's work; none gives no rates.
        machine: What it ran on.
        flops_per_token: Model FLOP per token, as a function of the mean sequence length; None where it is not known.

    Returns:
        `samples_per_second`; for tokens also `tokens_per_second`; where operations can be counted also
        `flops_per_second`, and `mfu` (in [0, 1], of the data sheet's peak) or `mfu_of_measured_peak` (of what this
        machine reached in a large matrix product).
    """
    if not work.samples or not work.seconds:
        return {}
    found = {"samples_per_second": work.samples * machine.num_replicas / work.seconds}
    if not work.tokens:
        return found
    found["tokens_per_second"] = work.tokens * machine.num_replicas / work.seconds
    per_token = flops_per_token(work.attended / work.tokens)
    if per_token is None:
        return found
    found["flops_per_second"] = per_token * found["tokens_per_second"]
    if machine.peak is not None:
        name = "mfu_of_measured_peak" if machine.peak.measured else "mfu"
        share = found["flops_per_second"] / (machine.peak.flops_per_second * machine.num_devices)
        if share <= 1.0:  # nothing is faster than its peak: something else was running while it was measured
            found[name] = share
    return found


def work_of(rows: torch.Tensor) -> Work:
    """Count a batch from its shape: token ids `[rows, tokens]`, or anything else whose first axis is rows."""
    if rows.ndim != 2 or rows.is_floating_point():
        return Work(samples=len(rows))
    return Work(samples=len(rows), tokens=rows.numel(), attended=rows.numel() * rows.shape[1])


class ThroughputCallback(TrainerCallback):
    """Measure training alone: evaluation, saving and sample printing are left out, data loading is not.

    Tokens are counted from shapes as batches enter the model in training mode, so nothing waits for the device: it is
    waited for only where Trainer does so anyway, at a log, and before an evaluation or a checkpoint.
    The numbers are `rates`' of the window between two logs. StrategyTrainer sends them to every reporter; in a plain
    `Trainer` they stand in `latest` and in `trainer_state.json`. FLOPs are left out rather than guessed where frozen
    weights, experts or FSDP1's flat parameters make them another number.
    """

    def __init__(self) -> None:
        self.latest: dict[str, float] = {}
        self._machine = Machine(1, 1, None)
        self._flops_per_token: Callable[[float], float | None] = _unknown
        self._hook: torch.utils.hooks.RemovableHandle | None = None
        self._done = self._window = Work()
        self._mark, self._interrupted = 0.0, True

    def metrics(self) -> dict[str, float]:
        """Return the rates since the last call, and begin a new window."""
        self._count_time()
        self._done += self._window
        self.latest = rates(self._window, self._machine, self._flops_per_token)
        self._window = Work()
        return self.latest

    def summary(self) -> dict[str, float]:
        """Return the rates of the whole `train()` call so far, as `train_tokens_per_second` and so on."""
        whole = rates(self._done + self._window, self._machine, self._flops_per_token)
        return {f"train_{name}": value for name, value in whole.items()}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **kwargs: Any
    ) -> None:
        self._remove_hook()
        self._done = self._window = Work()
        self._interrupted = True
        self._flops_per_token = _flops_counter(model)
        known = self._flops_per_token is not _unknown
        peak = peak_rate(args.device, _compute_dtype(args, model)) if known else None
        self._machine = Machine(_num_replicas(args, model), args.world_size * max(1, args.n_gpu), peak)
        self._hook = model.register_forward_pre_hook(self._count_batch, with_kwargs=True)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._count_time()
        self._mark = time.perf_counter()
        self._interrupted = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if args.device.type != "cpu" and (control.should_evaluate or control.should_save):
            torch.accelerator.synchronize(args.device)  # else work still queued would be timed as evaluation
        self._count_time()

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._interrupted = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._interrupted = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs and "loss" in logs and "samples_per_second" not in logs:  # nobody asked: a plain Trainer
            state.log_history[-1].update(self.metrics())

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._remove_hook()

    @torch.compiler.disable
    def _count_batch(self, module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        rows = kwargs.get(getattr(module, "main_input_name", "input_ids"), args[0] if args else None)
        if module.training and rows is not None:
            self._window += work_of(rows)

    def _count_time(self) -> None:
        """Add the time since the last mark, unless something else than training took a part of it."""
        now = time.perf_counter()
        if not self._interrupted:
            self._window += Work(seconds=now - self._mark)
        self._mark = now

    def _remove_hook(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None


def _unknown(sequence_length: float) -> None:
    """Stand for a model whose operations nobody can count."""


def _flops_counter(model: nn.Module) -> Callable[[float], float | None]:
    """Return model FLOP per token as a function of the sequence length."""
    whole = all(param.requires_grad for param in model.parameters()) and not isinstance(
        model, FullyShardedDataParallel
    )
    config = getattr(model, "config", None)
    if not whole or not isinstance(config, PreTrainedConfig) or training_flops_per_token(config, 0, 1.0) is None:
        return _unknown
    return partial(training_flops_per_token, config, multiplied_parameters(model))


def _compute_dtype(args: TrainingArguments, model: nn.Module) -> torch.dtype:
    if args.bf16 or args.fp16:
        return torch.bfloat16 if args.bf16 else torch.float16
    return next(model.parameters()).dtype


def _num_replicas(args: TrainingArguments, model: nn.Module) -> int:
    """Return how many ranks see different data; a model may have been split as it was loaded."""
    mesh = args.parallelism_config
    if mesh is not None:
        return args.world_size // (mesh.tp_size * mesh.cp_size * mesh.sp_size)
    return min(data_replicas(args), args.world_size // (getattr(model, "_tp_size", None) or 1))
