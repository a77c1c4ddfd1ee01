"""The first lines of a run: what is about to happen, so that a wrong run can be stopped before it costs anything."""

import math

from transformers import PreTrainedModel, TrainingArguments

from hf_strategies.arguments import Arguments
from hf_strategies.distributed.parallel_sizes import data_replicas
from hf_strategies.distributed.sharding import is_sharded
from hf_strategies.distributed.zero import num_parameters
from hf_strategies.models.mixing import describe_mixing
from hf_strategies.reports import format_count, format_number
from hf_strategies.schedulers import SCHEDULERS, RunScale, check_schedule, unreached


def describe_model(arguments: Arguments, model: PreTrainedModel) -> str:
    """Name the model, its parameters and its shape, and what that shape was chosen for."""
    asked, config = arguments.model, model.config
    source = asked.model_name_or_path or " ".join(filter(None, [asked.architecture, asked.size]))
    shape = {
        "hidden": getattr(config, "hidden_size", None),
        "layers": getattr(config, "num_hidden_layers", None),
        "heads": getattr(config, "num_attention_heads", None),
        "vocabulary": getattr(config, "vocab_size", None),
    }
    words = [f"{name} {value}" for name, value in shape.items() if value is not None] + [describe_mixing(config)]
    chosen = f", the nearest to {asked.parameters}" if asked.parameters else ""
    # The host's own count knows weights that are packed in 4 bits, and not those that ZeRO-3 has taken apart.
    parameters = num_parameters(model) if is_sharded(model) else model.num_parameters()
    return f"{source}, {parameters:,} parameters{chosen} ({', '.join(filter(None, words))})"


def describe_batch(args: TrainingArguments, block_size: int | None) -> str:
    """Spell out the global batch: sequences and tokens (where they have one length), and the product it is."""
    sequences = sequences_per_update(args)
    tokens = f" x {block_size} = {sequences * block_size:,} tokens" if block_size else ""
    return (
        f"{sequences} sequences{tokens} per update "
        f"(micro-batch {args.train_batch_size} x accumulation {args.gradient_accumulation_steps} x "
        f"{data_replicas(args)} replicas)"
    )


def describe_strategy(arguments: Arguments, args: TrainingArguments) -> str:
    """Name optimizer, rate and schedule, ours or the host's."""
    optimizer = arguments.strategy.optimizer or str(args.optim.value)
    scheduler = arguments.strategy.scheduler or str(args.lr_scheduler_type.value)
    warmup = f" after {format_number(args.warmup_steps)} warmup" if args.warmup_steps else ""
    return f"{optimizer} at {args.learning_rate:g}, weight decay {args.weight_decay:g}, {scheduler}{warmup}"


def planned_updates(args: TrainingArguments, *, samples: int | None) -> int:
    """Count the optimizer updates of a run over `samples` blocks per epoch; None for a stream."""
    if args.max_steps > 0 or samples is None:
        return args.max_steps
    return math.ceil(args.num_train_epochs * -(-samples // sequences_per_update(args)))


def run_scale(args: TrainingArguments, *, samples: int | None, block_size: int | None) -> RunScale:
    """Say what the lengths of a schedule are measured against.

    Args:
        args: The host's part of the run.
        samples: Of an epoch; None for a stream.
        block_size: Tokens of a sample; None where they have no common length.
    """
    sequences = sequences_per_update(args)
    tokens_per_update = block_size and sequences * block_size
    return RunScale(planned_updates(args, samples=samples), tokens_per_update, samples and -(-samples // sequences))


def settle_schedule(arguments: Arguments, args: TrainingArguments, scale: RunScale) -> None:
    """Count the warmup in updates and check the schedule, now that the run's length is known.

    Raises:
        UserError: The schedule's phases do not fit in the run, or are in a unit that it does not know.
    """
    warmup = arguments.training.get("warmup_steps") or 0
    args.warmup_steps = scale.updates("warmup_steps", warmup, rounding=math.ceil)
    strategy = arguments.strategy
    if strategy.scheduler is not None:
        check_schedule(SCHEDULERS[strategy.scheduler], scale, args.warmup_steps, strategy.scheduler_kwargs or {})


def schedule_warnings(arguments: Arguments, scale: RunScale) -> list[str]:
    """Say what of a schedule that fits in its run is hardly meant."""
    said = unreached(scale, arguments.strategy.scheduler_kwargs or {})
    return [] if said is None else [said]


def describe_length(args: TrainingArguments, *, samples: int | None, block_size: int) -> str:
    """Say how many updates the run takes, and how often it sees the data; `samples` is None for a stream."""
    updates = planned_updates(args, samples=samples)
    sequences = updates * sequences_per_update(args)
    epochs = f", {sequences / samples:.2f} epochs" if samples else ""
    return f"{updates:,} updates, {format_count(sequences * block_size)} tokens{epochs}"


def describe_precision(arguments: Arguments, args: TrainingArguments, threads: int | None) -> str:
    """Name device and precision, and who or what chose it."""
    name = precision_name(args)
    chosen = arguments.values.get("fp16" if name == "fp16" else "bf16")
    cores = f" on {threads} threads" if threads else ""
    return f"{args.device.type}{cores}, {name}{f' ({chosen.where})' if chosen else ''}"


def precision_name(args: TrainingArguments) -> str:
    """Name the precision that the model computes in."""
    return {"no": "float32"}.get(args.mixed_precision, args.mixed_precision)


def sequences_per_update(args: TrainingArguments) -> int:
    """Count the samples of an update over all replicas and micro-batches."""
    return args.train_batch_size * data_replicas(args) * args.gradient_accumulation_steps
