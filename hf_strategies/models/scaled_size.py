"""The sizes of a smaller model in the proportions of a larger one."""

import math
from collections.abc import Callable, Mapping

from hf_strategies.errors import UserError
from hf_strategies.models.nearest_size import is_near, nearest_shape
from hf_strategies.models.shelf import ARCHITECTURES
from hf_strategies.models.sizes import HEAD_SIZE, MULTIPLE


def scaled_sizes(
    architecture: str, full: Mapping[str, int], target: int, count: Callable[[dict[str, int]], int]
) -> dict[str, int]:
    """Shrink width and depth by about the same factor; heads, their groups and the feed-forward layers follow.

    A head keeps its size, so that a width is a multiple of it; a feed-forward layer keeps its ratio to the width.

    Args:
        architecture: A name on the shelf.
        full: Every size of the larger model.
        target: Parameters to come near to.
        count: Parameters of the model of some sizes, its embeddings included.

    Raises:
        UserError: The larger model is not larger, no smaller one comes within half of `target`, or its depth is not
            free.
    """
    if "depths" in ARCHITECTURES[architecture].facts:
        raise UserError(f"architecture {architecture} has depths of its own: give its sizes one by one")
    if (whole := count(dict(full))) <= target:
        raise UserError(f"expected fewer parameters than the recipe's {whole:,}, got {target:,}")
    width = full["hidden_size"]
    unit = width // full["num_attention_heads"] if "num_attention_heads" in full else min(HEAD_SIZE, width)
    least = min(2, full["num_hidden_layers"])

    def depth_of(narrow: int) -> int:
        return max(least, round(full["num_hidden_layers"] * narrow / width))

    def shape(narrow: int, depth: int) -> dict[str, int]:
        sizes = {**full, "hidden_size": narrow, "num_hidden_layers": max(least, depth)}
        if "num_attention_heads" in full:
            sizes["num_attention_heads"] = heads = narrow // unit
            if "num_key_value_heads" in full:
                group = full["num_attention_heads"] // full["num_key_value_heads"]
                sizes["num_key_value_heads"] = heads // math.gcd(heads, group)
        if "intermediate_size" in full:
            inner = full["intermediate_size"] * narrow / width
            sizes["intermediate_size"] = max(1, round(inner / MULTIPLE)) * MULTIPLE
        return sizes

    chosen = nearest_shape(range(unit, width + 1, unit), depth_of, shape, target, count)
    if not is_near(reached := count(chosen), target):
        raise UserError(f"{target:,} parameters are too few for {architecture} in these proportions: got {reached:,}")
    return chosen
