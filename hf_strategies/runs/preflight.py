"""What a run would trip over later, looked at before it begins: before its data are read, which may take hours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainingArguments

from hf_strategies.arguments import Arguments
from hf_strategies.checkpoints.choice import checkpoints_in, stored
from hf_strategies.checkpoints.space import check_space, checkpoint_bytes
from hf_strategies.distributed.deepspeed_settings import asked_deepspeed
from hf_strategies.distributed.machine import FSDP, asked_machine
from hf_strategies.distributed.memory import available_memory
from hf_strategies.distributed.pipeline.place import asked_place
from hf_strategies.distributed.pipeline.plan import own_units, pipeline_plan
from hf_strategies.distributed.ranks import local_world_size
from hf_strategies.distributed.zero import full_shape
from hf_strategies.errors import UserError
from hf_strategies.optimizers import OPTIMIZERS, resolve_param_groups
from hf_strategies.reports import format_count
from hf_strategies.reports.terminal import format_bytes
from hf_strategies.runs import startup
from hf_strategies.runs.host_choices import check_hosts_optimizer
from hf_strategies.runs.state_memory import count_states
from hf_strategies.schedulers import SCHEDULERS, RunScale, check_schedule
from hf_strategies.schedulers.lengths import UNKNOWN

OK, WARNING, ERROR = "ok", "warning", "error"
LONG_WARMUP = 0.5  # of a run: most of it goes by below the rate that was asked for
MANY_EPOCHS = 16  # above so many another epoch gains little (https://arxiv.org/abs/2305.16264)


@dataclass(frozen=True)
class Verdict:
    """What was found about one side of a run.

    Args:
        name: Of the side.
        said: What it will be; of an error, what is wrong.
        state: `OK`, `WARNING` or `ERROR`.
    """

    name: str
    said: str
    state: str = OK

    @property
    def is_error(self) -> bool:
        """Whether the run would fail."""
        return self.state == ERROR


@dataclass(frozen=True)
class Run:
    """What is known of a run before its data are read.

    Args:
        arguments: What was asked for.
        args: The host's part of it.
        model: To be trained; on the meta device will do.
        block_size: Tokens of a sample; None where they have no common length.
        samples: Of an epoch, as good as known; None where only the data tell, and for a stream.
        folder: Where checkpoints go; it exists.
    """

    arguments: Arguments
    args: TrainingArguments
    model: nn.Module
    _: KW_ONLY
    block_size: int | None
    samples: float | None
    folder: Path

    @property
    def updates(self) -> int | None:
        """Length of the run; None where only the data tell."""
        if self.args.max_steps < 1 and self.samples is None:
            return None
        return startup.planned_updates(self.args, samples=None if self.samples is None else math.ceil(self.samples))


def preflight(run: Run) -> list[Verdict]:
    """Look at every side of a run; nothing is changed."""
    looks = (length, schedule, rhythm, groups, sharding, stages, disk, memory)
    return [verdict for look in looks for verdict in look(run)]


def require(verdicts: list[Verdict]) -> list[str]:
    """Return what is to be said of a run that may begin: one line where all is well, and one for each warning.

    Raises:
        UserError: Something is wrong; a line for each.
    """
    wrong = [verdict.said for verdict in verdicts if verdict.is_error]
    if wrong:
        raise UserError("\n".join(wrong))
    warnings = [f"{verdict.name}: {verdict.said}" for verdict in verdicts if verdict.state == WARNING]
    good = [verdict.name for verdict in verdicts if verdict.state == OK]
    return [f"passed: {', '.join(good)}", *(f"warning: {said}" for said in warnings)]


def length(run: Run) -> Iterator[Verdict]:
    """Yield how long the run is, in updates, tokens and epochs."""
    if run.updates is None:
        epochs = f"{run.args.num_train_epochs:g} epochs"
        yield Verdict("length", f"{epochs}; how many updates these are, the data will tell")
        return
    sequences = run.updates * startup.sequences_per_update(run.args)
    told = f"{run.updates:,} updates, {sequences:,} samples"
    if run.block_size is not None:
        told += f", {format_count(sequences * run.block_size)} tokens"
    if run.samples is None:
        yield Verdict("length", told)
        return
    passes = sequences / run.samples
    too_many = run.block_size is not None and passes > MANY_EPOCHS
    gained = f": above {MANY_EPOCHS} another one gains little" if too_many else ""
    yield Verdict("length", f"{told}, about {passes:.2g} epochs{gained}", WARNING if too_many else OK)


def schedule(run: Run) -> Iterator[Verdict]:
    """Yield whether warmup and phases fit in the run."""
    if run.updates is None:
        yield Verdict("schedule", "checked when the data have told the run's length")
        return
    arguments, sequences = run.arguments, startup.sequences_per_update(run.args)
    tokens = run.block_size and sequences * run.block_size
    # Epochs of text that has not been read are taken for so short that every length fits; training checks again.
    scale = RunScale(run.updates, tokens, 1 / UNKNOWN if run.samples is None else math.ceil(run.samples / sequences))
    strategy, asked = arguments.strategy, arguments.training.get("warmup_steps") or 0
    try:
        warmup = scale.updates("warmup_steps", asked, rounding=math.ceil)
        if strategy.scheduler is not None:
            check_schedule(SCHEDULERS[strategy.scheduler], scale, warmup, strategy.scheduler_kwargs or {})
    except UserError as error:
        yield Verdict("schedule", str(error), ERROR)
        return
    name = strategy.scheduler or run.args.lr_scheduler_type.value
    rise = asked if run.samples is None and isinstance(asked, str) and "epoch" in asked else f"{warmup:,}"
    told = f"{name}, {rise} of {run.updates:,} updates are warmup"
    yield Verdict("schedule", told, WARNING if warmup > LONG_WARMUP * run.updates else OK)


def rhythm(run: Run) -> Iterator[Verdict]:
    """Yield whether the run is evaluated and saved before it ends."""
    if run.updates is None:
        return
    late = []
    for what, strategy, steps in (
        ("evaluation", run.args.eval_strategy, run.args.eval_steps),
        ("checkpoint", run.args.save_strategy, run.args.save_steps),
    ):
        every = steps * run.updates if steps is not None and steps < 1 else steps
        if str(strategy.value) == "steps" and every is not None and every > run.updates:
            late.append(f"the first {what} comes after {every:,.0f} updates, and the run has {run.updates:,}")
    yield Verdict("rhythm", "; ".join(late) or "it is evaluated and saved before it ends", WARNING if late else OK)


def groups(run: Run) -> Iterator[Verdict]:
    """Yield how parameters are grouped, and whether each is in a group."""
    strategy = run.arguments.strategy
    trained = [param for param in run.model.parameters() if param.requires_grad]
    if strategy.optimizer is None:
        told = f"{len(trained)} tensors, in the host's own groups"
        yield from _tried("groups", told, lambda: check_hosts_optimizer(run.args, run.model))
        return
    try:
        check_class(strategy.optimizer, run.args, strategy.optimizer_kwargs or {})
        made = resolve_param_groups(
            strategy.optimizer, run.model, lr=run.args.learning_rate, param_groups=strategy.param_groups
        )
    except UserError as error:
        yield Verdict("groups", str(error), ERROR)
        return
    owned = sum(group["num_tensors"] for group in made)
    told = f"{owned} of {len(trained)} trained tensors in {len(made)} groups"
    yield Verdict("groups", told, OK if owned == len(trained) else ERROR)


def check_class(name: str, args: TrainingArguments, hyper: Mapping[str, Any]) -> None:
    """Try an optimizer of which only its class knows the settings, on one small matrix.

    Args:
        name: On the shelf.
        args: The host's part of the run.
        hyper: Its settings.

    Raises:
        UserError: There is no such class, or it refuses a setting.
    """
    entry = OPTIMIZERS[name]
    if entry.facts["hyperparameters"] is None:
        probe = {"params": [nn.Parameter(torch.zeros(2, 2))], "weight_decay": args.weight_decay}
        entry.build([probe], lr=args.learning_rate, **hyper)


def sharding(run: Run) -> Iterator[Verdict]:
    """Yield whether the optimizer runs on what the launcher makes of tensors."""
    name, engine = run.arguments.strategy.optimizer, shards(run.args)
    if name is None or engine is None:
        yield Verdict("sharding", f"the launcher asks for {engine}" if engine else "each process has whole tensors")
        return
    fact = "elementwise" if engine.startswith("ZeRO") else "dtensors"
    if OPTIMIZERS[name].facts.get(fact):
        yield Verdict("sharding", f"{name} runs on the shards of {engine}")
    else:
        instead = ", ".join(
            entry.name for entry in OPTIMIZERS if entry.facts.get(fact) and "package" not in entry.facts
        )
        yield Verdict("sharding", f"{name} needs whole tensors, and {engine} cuts them: take {instead}, or DDP", ERROR)


def shards(args: TrainingArguments) -> str | None:
    """Return what the launcher or a flag asks for that cuts tensors; None for nothing."""
    settings = asked_deepspeed(args.deepspeed)
    machine = asked_machine(settings)
    if machine.engine == FSDP:
        return "FSDP"
    if machine.zero_stage:
        return f"ZeRO-{machine.zero_stage}"
    return "tensor parallelism" if machine.sizes.tensor > 1 else None


def stages(run: Run) -> Iterator[Verdict]:
    """Yield whether the model can be cut into the stages of a pipeline, where one is asked for."""
    place = asked_place(asked_deepspeed(run.args.deepspeed), rank=run.args.process_index)
    if place is None:
        return
    told = f"the model can be cut into {place.stages}"
    yield from _tried("stages", told, lambda: own_units(run.model, pipeline_plan(run.model), place))


def disk(run: Run) -> Iterator[Verdict]:
    """Yield whether the checkpoints fit that will be kept."""
    if run.args.save_strategy.value == "no":
        yield Verdict("disk", "no checkpoints are saved")
        return
    engine = asked_deepspeed(run.args.deepspeed)
    is_low = engine is not None and (run.args.bf16 or run.args.fp16)  # it then has weights of two bytes
    params = [
        (full_shape(param), 2 if is_low else param.element_size(), param.requires_grad)
        for param in run.model.parameters()
    ]
    size = checkpoint_bytes(params, _state_bytes(run), engine)
    told = f"checkpoints of about {format_bytes(size)}"
    yield from _tried(
        "disk",
        told,
        lambda: check_space(
            run.folder,
            size=size,
            limit=run.args.save_total_limit,
            keeps_best=run.args.metric_for_best_model is not None,
            present=sum(stored(checkpoint).verified for checkpoint in checkpoints_in(run.folder)),
        ),
    )


def memory(run: Run) -> Iterator[Verdict]:
    """Yield whether what the run keeps at all times fits in this machine; what a step takes comes on top."""
    if shards(run.args) is not None:
        yield Verdict("memory", "spread over processes: scripts/plan.py memory says how much each takes")
        return
    try:
        states = count_states(run.model, run.arguments.strategy, lr=run.args.learning_rate)
    except UserError:  # which the groups have told
        return
    on_cpu = run.args.use_cpu
    is_loaded = on_cpu and not any(param.is_meta for param in run.model.parameters())
    to_come = states.gradients + states.optimizer + (0 if is_loaded else states.weights)
    needed, free = to_come * (local_world_size() if on_cpu else 1), available_memory(use_cpu=on_cpu)
    parts = "gradients and optimizer" if is_loaded else "weights, gradients and optimizer"
    told = f"{parts} take {format_bytes(needed)} of {format_bytes(free)} free"
    if needed <= free:
        yield Verdict("memory", told)
    else:
        yield Verdict("memory", f"{told}: scripts/plan.py memory says what else would fit", ERROR)


def _state_bytes(run: Run) -> Callable[..., int] | None:
    name = run.arguments.strategy.optimizer
    return None if name is None else OPTIMIZERS[name].facts.get("state_bytes")


def _tried(name: str, told: str, attempt: Callable[[], object]) -> Iterator[Verdict]:
    try:
        attempt()
    except UserError as error:
        yield Verdict(name, str(error), ERROR)
    else:
        yield Verdict(name, told)
