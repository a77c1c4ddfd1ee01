"""How much memory one process of this machine takes, from its first update to its last evaluation."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from hf_strategies.arguments.checks import HOSTS_LEARNING_RATE
from hf_strategies.distributed.memory import available_memory
from hf_strategies.planning.planned_model import PlannedModel
from hf_strategies.planning.step_trace import trace_evaluation
from hf_strategies.reports.terminal import format_bytes, format_table
from hf_strategies.runs.process import settle_batch, settle_machine
from hf_strategies.runs.state_memory import States, count_states

# What a CPU's allocator (glibc's, as a script sets it) keeps of freed blocks that fit nothing that comes next, as a
# share of what comes and goes in a step: 0 to 0.3 in most measured processes, 0.4 to 0.7 where little comes and goes,
# or nearly all is frozen.
HEAP_SLACK = 0.3
EVALUATED_ROWS = 8  # of a batch, where no layer says otherwise: the host's own default


@dataclass(frozen=True, kw_only=True)
class ProcessMemory:
    """Bytes in one process, besides its libraries and data.

    Args:
        states: Weights, gradients and optimizer.
        snapshots: Of the step guard; on a GPU they are in the host's memory.
        activations: That a micro-batch keeps for its backward pass.
        evaluation: That a batch of an evaluation takes besides the weights.
        peak: The most at once, on a CPU with what its allocator cannot use again.
    """

    states: States
    snapshots: int
    activations: int
    evaluation: int
    peak: int


def states_of(planned: PlannedModel) -> States:
    """Count a planned run's states, its base as small as it is quantized."""
    arguments, model = planned.request.arguments, planned.sketch()
    states = count_states(model, arguments.strategy, lr=arguments.training.get("learning_rate", HOSTS_LEARNING_RATE))
    return replace(states, weights=states.weights - planned.quantized_weights(model))


def precision_of(training: dict[str, Any], *, default: torch.dtype) -> torch.dtype:
    """Return what a run computes in by its settings; `default` where they leave it open."""
    if training.get("fp16"):
        return torch.float16
    if training.get("bf16") is None:
        return default
    return torch.bfloat16 if training["bf16"] else torch.float32


def process_memory(planned: PlannedModel, *, recompute: bool) -> ProcessMemory:
    """Plan one process on this machine, in the precision that a run would choose here.

    Args:
        planned: Its model.
        recompute: Whether activations are computed again for the backward pass.
    """
    arguments = settle_machine(planned.request.arguments)
    training, guard = arguments.training, arguments.guard
    rows, micro_batches = settle_batch(arguments, max_seq_length=planned.length, replicas=1)
    dtype, states = precision_of(training, default=torch.float32), states_of(planned)
    snapshots = states.snapshots(guard.guard_snapshot_steps) if guard.guard else 0
    trace = planned.trace(rows, weights=torch.float32, autocast=dtype, recompute=recompute)
    evaluated = training.get("per_device_eval_batch_size", EVALUATED_ROWS)
    evaluation = trace_evaluation(planned.sketch(), lambda: planned.inputs(evaluated), autocast=dtype)
    step = trace.later if micro_batches > 1 else max(trace.first, states.gradients)
    kept, passing = states.weights + states.optimizer, max(step, evaluation)
    on_cpu = training["use_cpu"]
    return ProcessMemory(
        states=states,
        snapshots=snapshots,
        activations=trace.activations,
        evaluation=evaluation,
        peak=kept + snapshots + round((1 + HEAP_SLACK) * passing) if on_cpu else kept + passing,
    )


def describe_process(planned: PlannedModel) -> list[str]:
    """Write the plan of a process on this machine: a table, and whether it fits."""
    arguments = settle_machine(planned.request.arguments)
    training = arguments.training
    rows, micro_batches = settle_batch(arguments, max_seq_length=planned.length, replicas=1)
    found = {recompute: process_memory(planned, recompute=recompute) for recompute in planned.ways}
    table = [
        [
            "recomputed" if recompute else "kept",
            *map(format_bytes, (memory.states.weights, memory.states.gradients, memory.states.optimizer)),
            *map(format_bytes, (memory.snapshots, memory.activations, memory.evaluation, memory.peak)),
        ]
        for recompute, memory in found.items()
    ]
    headers = ["activations", "weights", "gradients", "optimizer", "snapshots", "of a step", "evaluation", "at once"]
    free = available_memory(use_cpu=training["use_cpu"])
    chosen = bool(training.get("gradient_checkpointing")) and True in found
    verdict = "fits" if found[chosen].peak <= free else "does not fit"
    precision = str(precision_of(training, default=torch.float32)).removeprefix("torch.")
    return [
        f"batch     {rows} rows x {planned.length} tokens, {micro_batches} micro-batches, {precision}",
        "",
        format_table(table, headers),
        "",
        f"machine   {format_bytes(free)} free: it {verdict}; libraries take about 1 GB more, data what they are",
    ]
