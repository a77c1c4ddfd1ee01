"""What settings alone say about the size of an update, before data or devices are seen."""

from collections.abc import Mapping

from hf_strategies.arguments.merging import Value
from hf_strategies.arguments.quantities import parse_batch_size
from hf_strategies.distributed.deepspeed_settings import asked_deepspeed
from hf_strategies.distributed.parallel_sizes import asked_parallel_sizes
from hf_strategies.errors import UserError


def asked_replicas(values: Mapping[str, Value]) -> int:
    """Count the replicas that share the samples of an update.

    Raises:
        UserError: The launcher's processes do not divide, or DeepSpeed's file cannot be read.
    """
    deepspeed = values.get("deepspeed")
    return asked_parallel_sizes(asked_deepspeed(deepspeed.value if deepspeed else None)).data


def tokens_per_update(values: Mapping[str, Value], *, block_size: int = 0) -> int | None:
    """Count the tokens of one update over all replicas; None where the settings leave it open, or are wrong.

    Args:
        values: The settings.
        block_size: Tokens per sequence where the settings leave it open.
    """

    def get(name: str, default: int) -> int:
        given = values.get(name)
        return default if given is None or given.value is None else given.value

    length, batch = get("max_seq_length", block_size), values.get("global_batch_size")
    if length < 1:
        return None
    try:
        if batch is None or batch.value is None:
            micro_batch, accumulation = get("per_device_train_batch_size", 8), get("gradient_accumulation_steps", 1)
            return length * asked_replicas(values) * micro_batch * accumulation
        size = parse_batch_size(batch.value)
    except UserError:
        return None
    return length * (size.count if size.unit == "sequences" else max(1, round(size.count / length)))
