"""How fast a recipe trains on this machine, by a few updates of it, and so how long and how dear the whole run is."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed

from hf_strategies.arguments import Arguments
from hf_strategies.distributed.ranks import world_size
from hf_strategies.errors import UserError
from hf_strategies.planning.time_request import TimeOptions
from hf_strategies.reports.terminal import format_count, format_duration, format_number
from hf_strategies.runs import startup
from hf_strategies.runs.language_model import build_model, check_trusted, resolve_block_size
from hf_strategies.runs.process import build_training_arguments, data_seed, prepare_cpu, settle_machine
from hf_strategies.runs.text import prepare
from hf_strategies.runs.trainer import build_trainer

SECONDS_PER_HOUR = 3600
QUIET = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False, "push_to_hub": False}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A run's beginning, timed.

    Args:
        seconds: Of an update.
        tokens: Of an update.
        updates: Of the whole run.
        what: Device and precision.
    """

    seconds: float
    tokens: int
    updates: int
    what: str

    @property
    def total_seconds(self) -> float:
        """Of all updates of the run."""
        return self.seconds * self.updates


class Stopwatch(TrainerCallback):
    """Times the updates after `num_warm` of them, and stops training after `num_timed` more."""

    def __init__(self, num_warm: int, num_timed: int) -> None:
        self.num_warm, self.num_timed = num_warm, num_timed
        self.began = self.ended = 0.0

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step == self.num_warm:
            self.began = _now(args.device)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step == self.num_warm + self.num_timed:
            self.ended = _now(args.device)
            control.should_training_stop = True


def time_run(arguments: Arguments, options: TimeOptions) -> Trial:
    """Train the beginning of a run and throw it away.

    Raises:
        UserError: The recipe cannot be built, or its run is shorter than the trial.
    """
    if world_size() > 1:
        raise UserError("a trial runs in one process: run it with python, not with a launcher of several")
    transformers.logging.set_verbosity_warning()
    transformers.logging.disable_progress_bar()
    arguments = settle_machine(arguments)
    arguments = replace(
        arguments, training={**arguments.training, **QUIET}, run=replace(arguments.run, num_completions=0)
    )
    check_trusted(arguments.model)
    threads = prepare_cpu() if arguments.training["use_cpu"] else None
    objective = arguments.strategy.objective
    block_size = resolve_block_size(arguments.model, arguments.data.max_seq_length, objective=objective)
    with tempfile.TemporaryDirectory() as folder:
        arguments.training["output_dir"] = folder
        args = build_training_arguments(arguments, max_seq_length=block_size)
        text = prepare(
            arguments, block_size, seed=data_seed(args), samples=args.max_steps * startup.sequences_per_update(args)
        )
        samples = None if arguments.data.streaming else len(text.train)
        updates = startup.planned_updates(args, samples=samples)
        if updates < options.warm_updates + options.updates:
            raise UserError(
                f"the run has {updates} updates, and the trial would take {options.warm_updates} + {options.updates}: "
                "lower --updates"
            )
        startup.settle_schedule(
            arguments, args, startup.run_scale(args, samples=samples, block_size=text.validation.block_size)
        )
        set_seed(args.seed)
        model = build_model(
            arguments.model,
            text.tokenizer,
            block_size=block_size,
            isolate_documents=arguments.data.isolate_documents,
            rows=args.per_device_train_batch_size,
            objective=objective,
        )
        trainer = build_trainer(arguments, args, model, text, Path(folder))
        watch = Stopwatch(options.warm_updates, options.updates)
        trainer.add_callback(watch)
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train()
    return Trial(
        seconds=(watch.ended - watch.began) / options.updates,
        tokens=startup.sequences_per_update(args) * block_size,
        updates=updates,
        what=startup.describe_precision(arguments, args, threads),
    )


def describe_trial(trial: Trial, price_per_hour: float | None) -> str:
    """Say how fast a run is, how long it takes and, given a price, what it costs."""
    lines = [
        f"device    {trial.what}",
        f"trial     {format_duration(trial.seconds)} an update of {trial.tokens:,} tokens: "
        f"{format_number(round(trial.tokens / trial.seconds))} tokens per second",
        f"run       {trial.updates:,} updates, {format_count(trial.updates * trial.tokens)} tokens: "
        f"{format_duration(trial.total_seconds)}, evaluations and checkpoints left out",
    ]
    if price_per_hour is not None:
        cost = price_per_hour * trial.total_seconds / SECONDS_PER_HOUR
        lines.append(f"cost      {cost:,.2f} at {price_per_hour:g} per hour")
    return "\n".join(lines)


def _now(device: torch.device) -> float:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()
