"""A model whose matrices are split over processes: whether it can be, before it is loaded.

The host splits a checkpoint as it loads it; accelerate then takes it as it is.
"""

from typing import Any

from hf_strategies.distributed.parallel_sizes import asked_parallel_sizes
from hf_strategies.errors import UserError

HEADS = ("num_attention_heads", "num_key_value_heads")


def loaded_parts() -> int:
    """Return how many parts the launcher wants a model to be loaded in; 1 for a whole one."""
    return asked_parallel_sizes({}).tensor


def check_splittable(config: Any, parts: int) -> None:
    """Refuse a model that has no plan of how to split it, or heads that do not divide.

    Args:
        config: The host's, of the model.
        parts: Processes that each get as many heads.

    Raises:
        UserError: It cannot be split.
    """
    if not getattr(config, "base_model_tp_plan", None):
        raise UserError(f"{config.model_type} has no tensor-parallel plan (base_model_tp_plan of its config)")
    for name in HEADS:
        heads = getattr(config, name, None) or parts
        if heads % parts:
            fitting = [size for size in range(2, heads + 1) if heads % size == 0]
            raise UserError(
                f"tensor parallelism over {parts} processes needs {name} to divide, got {heads}: set "
                f"parallelism_config_tp_size to {' or '.join(map(str, fitting)) or 1}"
            )
