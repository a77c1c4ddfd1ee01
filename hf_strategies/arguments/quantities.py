"""Quantities with a unit: "256" sequences, "0.5M tokens", "30M" parameters."""

from dataclasses import dataclass

from hf_strategies.errors import UserError
from hf_strategies.schedulers.lengths import read_quantity


@dataclass(frozen=True)
class BatchSize:
    """Size of one update's batch over all devices and micro-batches, in sequences or in tokens."""

    count: int
    unit: str


def parse_batch_size(text: str) -> BatchSize:
    """Read "256", "256 sequences", "4096 tokens" or "0.5M tokens".

    Raises:
        UserError: It is none of these, or not a whole number.
    """
    count, unit = read_quantity(text) or (0.0, "")
    if unit not in ("", "sequence", "token") or not 1 <= count < 1e15 or abs(count - round(count)) > 1e-6:
        raise UserError(f'expected sequences ("256") or tokens ("0.5M tokens"), got {text!r}')
    return BatchSize(round(count), "tokens" if unit == "token" else "sequences")


def parse_parameters(text: str) -> int:
    """Read "30M", "1.3B" or "125000000 parameters".

    Raises:
        UserError: It is none of these.
    """
    count, unit = read_quantity(text) or (0.0, "")
    if unit not in ("", "parameter") or not 1 <= count < 1e15:
        raise UserError(f'expected a number of parameters ("30M", "1.3B"), got {text!r}')
    return round(count)


def split_batch(
    batch: BatchSize, *, max_seq_length: int, per_device: int, replicas: int, shrink: bool
) -> tuple[int, int]:
    """Split a global batch over replicas and micro-batches.

    Args:
        batch: The global batch.
        max_seq_length: Tokens per sequence.
        per_device: Sequences per micro-batch on one device.
        replicas: Of the model, which share the samples: the devices, unless several hold one model together.
        shrink: Take `per_device` for a ceiling, and the largest micro-batch under it that fits.

    Returns:
        Sequences per micro-batch on one device, and micro-batches per update.

    Raises:
        UserError: The batch is not a whole number of micro-batches on all replicas; names the nearest that are.
    """
    sequences = batch.count if batch.unit == "sequences" else max(1, round(batch.count / max_seq_length))
    if shrink and sequences % replicas == 0:
        share = sequences // replicas
        per_device = max(size for size in range(1, min(per_device, share) + 1) if share % size == 0)
    step = per_device * replicas
    if sequences % step == 0:
        return per_device, sequences // step
    below, above = sequences // step * step, -(-sequences // step) * step
    near = [
        str(count) if batch.unit == "sequences" else f"{count * max_seq_length} tokens"
        for count in (below, above)
        if count
    ]
    shown = f"{batch.count} tokens ({sequences} sequences)" if batch.unit == "tokens" else f"{sequences} sequences"
    raise UserError(
        f"global_batch_size of {shown} is not a multiple of {per_device} per device x {replicas} replicas; "
        f"nearest: {' or '.join(near)}, or another per_device_train_batch_size"
    )
