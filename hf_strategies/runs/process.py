"""What a process must know before its trainer exists: its cores, its device, its share of the batch."""

import ctypes
import os
import sys
import time
from dataclasses import replace
from typing import Any

import torch
from transformers import Seq2SeqTrainingArguments, TrainingArguments

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.batch import asked_replicas
from hf_strategies.arguments.merging import Value
from hf_strategies.arguments.quantities import parse_batch_size, split_batch
from hf_strategies.distributed.asked_precision import SHORTENED, open_precisions
from hf_strategies.distributed.deepspeed_settings import asked_deepspeed
from hf_strategies.distributed.precision import automatic_precision, why_refused
from hf_strategies.distributed.process_group import rejoin_process_group
from hf_strategies.distributed.ranks import available_cores, local_world_size
from hf_strategies.errors import UserError, first_line
from hf_strategies.metrics import METRICS
from hf_strategies.runs.host_choices import check_hosts_schedule
from hf_strategies.schedulers import SCHEDULERS

THREADS = "HF_STRATEGIES_THREADS"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of malloc.h
LARGEST_KEPT = 32 << 20  # bytes; glibc takes no more
JOB_STARTED = time.time()  # scripts import this before they read any data, which may take hours

# Where the host's default would hide something: these say what a script's reader expects instead.
SCRIPT_DEFAULTS: dict[str, Any] = {
    "report_to": "none",
    "disable_tqdm": True,  # ConsoleCallback prints one readable row per log instead
    "logging_nan_inf_filter": False,  # a NaN loss is shown as it is, and costs no synchronisation per micro-batch
    "ddp_find_unused_parameters": False,  # all of them are used; looking for others costs time in every step
    "remove_unused_columns": False,  # blocks hold what the model takes, nothing else
}


def prepare_cpu() -> int:
    """Give torch this process's share of the cores and let it keep its memory; return the number of threads.

    The launcher sets OMP_NUM_THREADS=1 on a CPU, which would leave all cores but one idle, and a user's own 1 cannot
    be told from it: `HF_STRATEGIES_THREADS` is the way to ask for another number.

    Raises:
        UserError: `HF_STRATEGIES_THREADS` is not a positive whole number.
    """
    wanted = os.environ.get(THREADS)
    if wanted is not None and (not wanted.isdigit() or int(wanted) < 1):
        raise UserError(f"{THREADS} must be a whole number of at least 1, got {wanted!r}")
    torch.set_num_threads(int(wanted) if wanted else max(1, available_cores() // local_world_size()))
    keep_freed_memory()
    return torch.get_num_threads()


def keep_freed_memory(*, largest: int | None = LARGEST_KEPT) -> None:
    """Let this process keep what its tensors on a CPU have freed, for the next ones, as a GPU's allocator does.

    glibc gives the top of its heap back, so that an update waits for the kernel to clear the same pages again. Tensors
    of `largest` bytes or more stay maps of their own: kept, they leave holes, and a run may take twice the memory. The
    parameters are explained in the manual page of mallopt(3); another C library or allocator is left as it is.

    Args:
        largest: At most 32 MiB; None keeps all.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, -1)
        mallopt(*((M_MMAP_MAX, 0) if largest is None else (M_MMAP_THRESHOLD, largest)))


def settle_machine(arguments: Arguments) -> Arguments:
    """Settle what the machine decides where nobody did: the CPU where there is nothing else, and the precision.

    The precision becomes a setting like others, so that the resolved settings and a resumed run know it. A launcher
    that names one, or DeepSpeed's file that does, has decided.

    Raises:
        UserError: This machine cannot train in the precision that was asked for.
    """
    use_cpu = bool(arguments.training.get("use_cpu", not torch.accelerator.is_available()))
    engine = asked_deepspeed(arguments.training.get("deepspeed"))
    allowed = open_precisions(engine)
    chosen, where = {}, "the launcher" if engine is None else "DeepSpeed's file"
    if len(allowed) == 1:
        chosen = {name: name in allowed for name in SHORTENED}
    elif not arguments.training.keys() & set(SHORTENED):
        bf16, where = automatic_precision(use_cpu=use_cpu)
        chosen = {"bf16": bf16 and "bf16" in allowed}
    training = {**arguments.training, "use_cpu": use_cpu, **chosen}
    for precision in SHORTENED:
        why = training.get(precision) and why_refused(precision, use_cpu=use_cpu, deepspeed=engine is not None)
        if why:
            raise UserError(f"{precision} cannot be had here: {why}")
    values = {**arguments.values, **{name: Value(value, where) for name, value in chosen.items()}}
    return replace(arguments, training=training, values=values)


def data_seed(args: TrainingArguments) -> int:
    """Return the seed of what is drawn on the data: their order, and what an objective hides."""
    return args.seed if args.data_seed is None else args.data_seed


def settle_batch(arguments: Arguments, *, max_seq_length: int, replicas: int) -> tuple[int, int]:
    """Return the sequences of a micro-batch on one device, and the micro-batches of an update.

    Args:
        arguments: What was asked for.
        max_seq_length: Tokens per sequence.
        replicas: That share the samples of an update.

    Raises:
        UserError: The global batch does not divide.
    """
    per_device = arguments.training.get("per_device_train_batch_size", TrainingArguments.per_device_train_batch_size)
    if arguments.strategy.global_batch_size is None:
        return per_device, arguments.training.get("gradient_accumulation_steps", 1)
    sizes = ("global_batch_size", "per_device_train_batch_size")
    sized = [arguments.values[name] for name in sizes if name in arguments.values]
    return split_batch(
        parse_batch_size(arguments.strategy.global_batch_size),
        max_seq_length=max_seq_length,
        per_device=per_device,
        replicas=replicas,
        # A user who gives both means both; a recipe does not know the devices.
        shrink=len(sized) < 2 or any(given.from_recipe for given in sized),
    )


def build_training_arguments(
    arguments: Arguments,
    *,
    max_seq_length: int,
    metric: str | None = None,
    greater_is_better: bool = False,
    generated_tokens: int | None = None,
) -> TrainingArguments:
    """Build the host's arguments: what the layers set, over what scripts assume, with the batch worked out.

    Args:
        arguments: What was asked for.
        max_seq_length: Tokens per sequence.
        metric: What the best checkpoint is chosen by where nobody says; None leaves that to the host.
        greater_is_better: Whether more of it is better.
        generated_tokens: How much evaluations let the model write, where nobody says; None for nothing.

    Raises:
        UserError: The global batch does not divide, or the host refuses a setting, of its own schedules too.
    """
    given = {**SCRIPT_DEFAULTS, **arguments.training}
    given.pop("resume_from_checkpoint", None)
    if given["report_to"] is None:
        given["report_to"] = "none"  # which is read as null where that may be, and the host knows the word alone
    if isinstance(given.get("warmup_steps"), str):
        del given["warmup_steps"]  # tokens or epochs: settled once the data are known
    scheduler = arguments.strategy.scheduler
    if scheduler is not None and SCHEDULERS[scheduler].facts.get("stateful"):
        given.setdefault("metric_for_best_model", "loss")  # the host's own default for its plateau
    if metric is not None and given.get("load_best_model_at_end"):
        given.setdefault("metric_for_best_model", metric)
    chosen = str(given.get("metric_for_best_model") or metric).removeprefix("eval_")
    if chosen != metric and chosen in METRICS:
        greater_is_better = METRICS[chosen].facts["greater_is_better"]
    elif chosen.endswith("loss"):
        greater_is_better = False
    given.setdefault("greater_is_better", greater_is_better)  # the host would take perplexity for one like accuracy
    made: type[TrainingArguments] = TrainingArguments
    if generated_tokens is not None:
        longest = generated_tokens + 1  # with the token that starts a decoder
        generates = {"predict_with_generate": True, "generation_max_length": longest}
        made, given = Seq2SeqTrainingArguments, {**generates, **given}
    if arguments.strategy.global_batch_size is not None:
        given["per_device_train_batch_size"], given["gradient_accumulation_steps"] = settle_batch(
            arguments, max_seq_length=max_seq_length, replicas=asked_replicas(arguments.values)
        )
    rejoin_process_group(use_cpu=given.get("use_cpu", False), timeout=given.get("ddp_timeout", made.ddp_timeout))
    try:
        args = made(**given)
    except Exception as error:  # of any kind: the host checks only in passing what it is given
        raise UserError(f"TrainingArguments: {first_line(error)}") from error
    if scheduler is None:
        check_hosts_schedule(args)
    return args
