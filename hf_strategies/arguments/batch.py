"""What settings alone say about the size of an update, before data or devices are seen."""

from collections.abc import Mapping

from hf_strategies.arguments.merging import Value
from hf_strategies.arguments.quantities import parse_batch_size
from hf_strategies.distributed.ranks import world_size
from hf_strategies.errors import UserError


def tokens_per_update(values: Mapping[str, Value], *, block_size: int = 0) -> int | None:
    """Count the tokens of one update over all devices; None where the settings leave it open, or are wrong.

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
    if batch is None or batch.value is None:
        return length * world_size() * get("per_device_train_batch_size", 8) * get("gradient_accumulation_steps", 1)
    try:
        size = parse_batch_size(batch.value)
    except UserError:
        return None
    return length * (size.count if size.unit == "sequences" else max(1, round(size.count / length)))
