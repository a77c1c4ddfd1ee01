"""The sizes of an architecture that come nearest to a number of parameters, in the proportions that it usually has."""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from hf_strategies.errors import UserError
from hf_strategies.models.shelf import ARCHITECTURES
from hf_strategies.models.sizes import HEAD_SIZE, resolve_sizes

WIDEST = 16384
SHALLOWER, DEEPER = 0.75, 1.34  # how far the depth may leave the usual one, to come nearer
FARTHEST = 1.5  # times what was asked for, or a part of it: what is farther off is another model


def nearest_sizes(
    architecture: str,
    given: Mapping[str, int | None],
    target: int,
    count: Callable[[dict[str, int]], int],
    *,
    options: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Choose width and depth: the width whose usual depth comes nearest, then the depth that comes nearer still.

    Usual is what lies between the published sizes. Cost: about a dozen counts.

    Args:
        architecture: A name on the shelf, with published sizes.
        given: Sizes that somebody asked for; neither the width nor the depth is among them.
        target: Parameters to come near to.
        count: Parameters of the model of some sizes, its embeddings included.
        options: What else was asked for, as for `resolve_sizes`.

    Raises:
        UserError: No model comes within half of `target`, or the sizes that were given fit no width.
    """
    facts = ARCHITECTURES[architecture].facts

    def shape(width: int, depth: int) -> dict[str, int]:
        chosen = {**given, "hidden_size": width, "num_hidden_layers": depth}
        sizes, _ = resolve_sizes(architecture, chosen, options=options)
        return sizes

    heads, key_value_heads = (given.get(f"num_{kind}_heads") for kind in ("attention", "key_value"))
    unit = 2 * heads if heads else HEAD_SIZE * key_value_heads if key_value_heads else 1  # heads are of an even size
    step = math.lcm(facts.get("width_step", HEAD_SIZE), unit)
    chosen = nearest_shape(
        range(step, max(WIDEST, step) + 1, step),
        partial(usual_depth, architecture),
        shape,
        target,
        count,
        depths=facts.get("depths", ()),
    )
    reached = count(chosen)
    if not is_near(reached, target):
        raise UserError(
            f"parameters {target:,}: the nearest {architecture} has {reached:,}, its embeddings included; "
            f"{'a smaller vocabulary makes a smaller one' if reached > target else 'give its sizes one by one'}"
        )
    return chosen


def nearest_shape(
    widths: Sequence[int],
    depth_of: Callable[[int], int],
    shape: Callable[[int, int], dict[str, int]],
    target: int,
    count: Callable[[dict[str, int]], int],
    *,
    depths: Sequence[int] = (),
) -> dict[str, int]:
    """Choose the width that comes nearest at its own depth, then the depth about there that comes nearer still.

    Args:
        widths: To choose from, in rising order.
        depth_of: Depth that goes with a width.
        shape: Every size of a model, by its width and depth.
        target: Parameters to come near to.
        count: Parameters of the model of some sizes.
        depths: All that there are, where not every one is.
    """
    width = _nearest(widths, target, lambda width: count(shape(width, depth_of(width))))
    middle = depth_of(width)
    about = range(max(1, round(SHALLOWER * middle)), round(DEEPER * middle) + 1)
    depth = _nearest(depths or about, target, lambda depth: count(shape(width, depth)))
    return shape(width, depth)


def is_near(reached: int, target: int) -> bool:
    """Tell whether a model is still about as large as was asked for."""
    return target / FARTHEST <= reached <= target * FARTHEST


def usual_depth(architecture: str, width: int) -> int:
    """Return the number of layers of a model this wide: on lines between the first published size of each width."""
    depths: dict[int, int] = {}
    for sizes in ARCHITECTURES[architecture].facts["published"].values():
        depths.setdefault(sizes["hidden_size"], sizes["num_hidden_layers"])
    known = sorted(depths)
    if width <= known[0] or width >= known[-1]:
        return depths[known[0] if width <= known[0] else known[-1]]
    above = bisect_left(known, width)
    low, high = known[above - 1], known[above]
    return round(depths[low] + (depths[high] - depths[low]) * (width - low) / (high - low))


def _nearest(choices: Sequence[int], target: int, count: Callable[[int], int]) -> int:
    """Return the choice whose count is nearest to `target` as a ratio; counts grow along `choices`."""
    top = 1
    while top < len(choices) and count(choices[top - 1]) < target:  # from below: what is large takes long to count
        top *= 2
    above = bisect_left(choices, target, lo=top // 2, hi=min(top, len(choices)), key=count)
    near = choices[max(above - 1, 0) : above + 1]
    return min(near, key=lambda choice: abs(math.log(count(choice) / target)))
