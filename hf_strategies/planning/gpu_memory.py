"""How much memory GPUs need for a run, by the way it is spread over them, and which way is the cheapest that fits."""

import shlex

import torch

from hf_strategies.optimizers import OPTIMIZERS
from hf_strategies.planning.placements import Share, Workload, cheapest, placements
from hf_strategies.planning.planned_model import PlannedModel, blocks_of
from hf_strategies.planning.process_memory import precision_of, states_of
from hf_strategies.reports.terminal import format_bytes, format_table
from hf_strategies.runs.process import settle_batch

USABLE = 0.9  # of a GPU: the rest is its driver's, and lost between tensors
HEADERS = [
    "configuration", "weights", "gradients", "optimizer", "buffers", "step", "total", "recomputed", "host", "fits",
]  # fmt: skip


def describe_gpus(planned: PlannedModel, memory: float) -> list[str]:
    """Write what each GPU holds in every configuration, and the command of the cheapest that fits.

    Args:
        planned: The run's model.
        memory: Bytes of a GPU.
    """
    arguments, gpus = planned.request.arguments, planned.request.gpus
    dtype = precision_of(arguments.training, default=torch.bfloat16)
    rows, micro_batches = settle_batch(arguments, max_seq_length=planned.length, replicas=gpus)
    work = workload(planned, dtype, rows=rows, micro_batches=micro_batches)
    missing: dict[str, list[str]] = {}
    for way in placements(gpus):
        if why := way.needs(work):
            missing.setdefault(why, []).append(way.name)
    precision = str(dtype).removeprefix("torch.")
    return [
        f"batch     {rows} rows x {planned.length} tokens on each of {gpus} GPUs, {micro_batches} micro-batches, "
        f"{precision}",
        "",
        format_table(share_rows(work, USABLE * memory), HEADERS),
        "",
        "step: activations and what else a micro-batch needs; recomputed: the total with --gradient_checkpointing",
        *(f"-: {why}: {', '.join(names)}" for why, names in missing.items()),
        "",
        *advice(work, memory, shlex.join([f"scripts/{arguments.job}.py", *arguments.argv])),
    ]


def workload(planned: PlannedModel, dtype: torch.dtype, *, rows: int, micro_batches: int) -> Workload:
    """Put together what is spread: states, and steps traced with weights in both precisions.

    Args:
        planned: The run's model.
        dtype: What is computed in.
        rows: Of a micro-batch on one GPU.
        micro_batches: Of an update on one GPU.
    """
    traces, low_traces = {}, {}
    for recompute in planned.ways:
        traces[recompute] = planned.trace(rows, weights=torch.float32, autocast=dtype, recompute=recompute)
        low_traces[recompute] = planned.trace(rows, weights=dtype, autocast=torch.float32, recompute=recompute)
    model, optimizer = planned.sketch(), planned.request.arguments.strategy.optimizer
    blocks = blocks_of(model)
    facts = OPTIMIZERS[optimizer].facts if optimizer else {"elementwise": True, "dtensors": True}
    return Workload(
        states=states_of(planned),
        gpus=planned.request.gpus,
        element_bytes=dtype.itemsize,
        micro_batches=micro_batches,
        block_elements=blocks.elements,
        num_blocks=blocks.number,
        hidden_size=getattr(model.config, "hidden_size", 0),
        traces=traces,
        low_traces=low_traces,
        elementwise=facts["elementwise"],
        dtensors=facts.get("dtensors", False),
    )


def share_rows(work: Workload, limit: float) -> list[list[str]]:
    """Return a row for each way to spread a run.

    Args:
        work: The run.
        limit: Bytes of a GPU that it may fill.
    """
    rows = []
    for way in placements(work.gpus):
        shares = {recompute: way.share(work, recompute) for recompute in work.traces}
        fits = [recompute for recompute, share in shares.items() if share.total <= limit]
        kept = shares[False]
        rows.append(
            [
                way.name,
                *map(format_bytes, (kept.weights, kept.gradients, kept.optimizer, kept.buffers, kept.activations)),
                format_bytes(kept.total),
                format_bytes(shares[True].total) if True in shares else "",
                format_bytes(kept.host) if kept.host else "",
                "-" if way.needs(work) else "no" if not fits else "(yes)" if fits == [True] else "yes",
            ]
        )
    return rows


def advice(work: Workload, memory: float, command: str) -> list[str]:
    """Name the cheapest configuration that fits, as a command; or say what comes nearest.

    Args:
        work: The run.
        memory: Bytes of a GPU.
        command: The script and what it was given.
    """
    chosen = cheapest(work, USABLE * memory)
    if chosen is not None:
        way, recompute = chosen
        share = way.share(work, recompute)
        flags = " --gradient_checkpointing" if recompute else ""
        return [
            f"cheapest  accelerate launch --config_file accelerate_configs/{way.name}.yaml "
            f"--num_processes {work.gpus} {command}{flags}",
            f"          {format_bytes(share.total)} of {format_bytes(memory)} on each GPU"
            + (f", {format_bytes(share.host)} of the host's memory" if share.host else ""),
        ]
    leanest = max(work.traces)
    shares: dict[str, Share] = {
        way.name: way.share(work, leanest) for way in placements(work.gpus) if not way.needs(work)
    }
    name = min(shares, key=lambda name: shares[name].total)
    with_flag = " with --gradient_checkpointing" if leanest else ""
    return [
        f"cheapest  none fits: {name}{with_flag} needs GPUs of {format_bytes(shares[name].total / USABLE)};",
        "          lower per_device_train_batch_size or max_seq_length, or take more GPUs or an adapter",
    ]
