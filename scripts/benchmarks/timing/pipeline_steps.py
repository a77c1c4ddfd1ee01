"""Clock updates of a Llama in one process and in the stages of a pipeline, each process on one core with one thread.

Run as a script it is one of the processes.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from transformers import LlamaConfig, LlamaForCausalLM

from hf_strategies.distributed.pipeline.place import Place
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.runs.process import keep_freed_memory
from hf_strategies.training.pipeline import Pipeline, resolved_settings

ROOT = Path(__file__).parents[3]
VOCABULARY = 512  # small: the head, which is the last stage's alone, should weigh little
ENGINE = {"zero_optimization": {"stage": 1}, "gradient_clipping": 1.0, "steps_per_print": 10**9}

Update = Callable[[Sequence[dict[str, Any]]], Any]


def step_seconds(
    processes: int, micro_batches: Sequence[int], num_steps: int, sizes: dict[str, int]
) -> dict[int, float]:
    """Return the median seconds of an update, by its number of micro-batches.

    Args:
        processes: Stages; 1 trains without a pipeline.
        micro_batches: The numbers.
        num_steps: Timed updates of each, after one that is not timed.
        sizes: `hidden_size`, `num_hidden_layers`, `rows` of a micro-batch, and its `sequence_length`.

    Raises:
        RuntimeError: A process failed.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    shared |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    job = json.dumps({"micro_batches": list(micro_batches), "num_steps": num_steps, "sizes": sizes})
    ranks = [
        subprocess.Popen(
            [sys.executable, __file__, job],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    try:
        said = [rank.communicate() for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    for rank, (_, errors) in zip(ranks, said, strict=True):
        if rank.returncode:
            raise RuntimeError(f"a process of the benchmark ended with {rank.returncode}: {errors[-2000:]}")
    found = json.loads(said[0][0].splitlines()[-1])
    return {int(count): seconds for count, seconds in found.items()}


def clock(update: Callable[[], Any], num_steps: int) -> float:
    """Return the median seconds of an update, after one that is not timed."""
    times = []
    for _ in range(num_steps + 1):
        start = time.perf_counter()
        update()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def build(sizes: dict[str, int]) -> LlamaForCausalLM:
    """Make the model, the same in every process."""
    torch.manual_seed(0)
    width = sizes["hidden_size"]
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=width, intermediate_size=4 * width, num_attention_heads=8, pad_token_id=0,
        num_hidden_layers=sizes["num_hidden_layers"], max_position_embeddings=sizes["sequence_length"],
    )  # fmt: skip
    return LlamaForCausalLM(config)


def alone(sizes: dict[str, int]) -> Update:
    """Return what trains the whole model for one update."""
    model = build(sizes)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def update(inputs: Sequence[dict[str, Any]]) -> None:
        for batch in inputs:
            model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return update


def staged(processes: int, rank: int, sizes: dict[str, int], micro_batches: int) -> Update:
    """Return what trains this process's stage for one update."""
    model = build(sizes)
    pipeline = Pipeline(model, Place(rank, processes, 1), ENGINE, load=lambda _: None)
    here = [param for param in model.parameters() if not param.is_meta]
    optimizer = torch.optim.AdamW(here, fused=True)
    settings = resolved_settings(ENGINE, micro_batch=sizes["rows"], accumulation=micro_batches, replicas=1)
    batches: list[dict[str, Any]] = []

    def loss(tail: nn.Module, hidden: Tensor, number: int) -> Tensor:
        return tail(**{**batches[number], "inputs_embeds": hidden}).loss

    pipeline.start(settings, optimizer, loss=loss)

    def update(inputs: Sequence[dict[str, Any]]) -> None:
        batches[:] = inputs
        pipeline.train(inputs)

    return update


def main() -> None:
    job, rank, processes = json.loads(sys.argv[1]), int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.set_num_threads(1)
    keep_freed_memory()  # as scripts do
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[rank % len(cores)]})
    sizes, times = job["sizes"], {}
    if processes > 1:
        distributed.init_process_group("gloo")
    for count in job["micro_batches"]:
        ids = torch.randint(1, VOCABULARY, (sizes["rows"], sizes["sequence_length"]))
        inputs = [{"input_ids": ids, "labels": ids, "num_items_in_batch": ids.numel() * count} for _ in range(count)]
        train = staged(processes, rank, sizes, count) if processes > 1 else alone(sizes)
        times[count] = clock(partial(train, inputs), job["num_steps"])
    print(json.dumps(times))
    leave_process_group()


if __name__ == "__main__":
    main()
