"""How large a model is: which sizes an architecture has, what those left out are, and whether they fit together."""

from collections.abc import Mapping
from typing import Any

from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.models.option_checks import resolve_options
from hf_strategies.models.shelf import ARCHITECTURES

HEAD_SIZE = 64  # of every published decoder family up to about 1 B parameters
DEFAULT_WIDTH, DEFAULT_DEPTH = 256, 6
MULTIPLE = 32  # feed-forward widths are rounded up to it: matrix kernels like whole tiles


def resolve_sizes(
    architecture: str,
    given: Mapping[str, int | None],
    *,
    size: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[dict[str, int], list[str]]:
    """Complete the sizes of an architecture.

    Args:
        architecture: A name on the shelf.
        given: The sizes that somebody asked for; None for the others.
        size: Name of a published model, whose sizes take the places of those that nobody gave.
        options: What else was asked for: a feed-forward layer without a gate is wider.

    Returns:
        Every size that the architecture has, and the names of the given ones that it does not have. A patch's side is
        left out where nobody gave it: it follows from the image's, which its builder knows.

    Raises:
        UserError: Sizes that are not positive, or do not divide, or none was published by that name.
    """
    entry = ARCHITECTURES[architecture]
    asked = {name: value for name, value in given.items() if value is not None}
    unused = [name for name in asked if name not in entry.facts["sizes"]]
    wanted = {**({} if size is None else published_sizes(architecture, size)), **asked}
    for name, value in wanted.items():
        if value < 1:
            raise UserError(f"{name} must be at least 1, got {value}")
    usual = {"hidden_size": DEFAULT_WIDTH, "num_hidden_layers": DEFAULT_DEPTH, **entry.facts.get("usual_sizes", {})}
    width = wanted.get("hidden_size", usual["hidden_size"])
    heads = wanted.get("num_attention_heads", max(1, width // HEAD_SIZE))
    ratio = entry.facts.get("feed_forward_ratio", 1.0)
    if isinstance(ratio, Mapping):
        ratio = ratio[resolve_options(architecture, options or {})["activation"]]
    derived = {
        **usual,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "intermediate_size": -(-int(width * ratio) // MULTIPLE) * MULTIPLE,
    }
    known = {**derived, **wanted}
    sizes = {name: known[name] for name in entry.facts["sizes"] if name in known}
    depths = entry.facts.get("depths", ())
    if depths and sizes["num_hidden_layers"] not in depths:
        listed = ", ".join(map(str, depths))
        raise UserError(
            f"num_hidden_layers of {architecture} must be one of {listed}, got {sizes['num_hidden_layers']}"
        )
    if "num_attention_heads" in sizes:
        check_sizes(sizes, rotary=entry.facts["rotary"])
    return sizes, unused


def published_sizes(architecture: str, size: str) -> Mapping[str, int]:
    """Return the sizes of a published model.

    Raises:
        UserError: None was published by that name; says which were.
    """
    published = ARCHITECTURES[architecture].facts.get("published", {})
    if size not in published:
        listed = ", ".join(published) or "none"
        raise UserError(
            f"architecture {architecture!r} has no size {size!r}{did_you_mean(size, published)} (known: {listed})"
        )
    return published[size]


def check_sizes(sizes: Mapping[str, int], *, rotary: bool) -> None:
    """Refuse widths and heads that do not divide.

    Args:
        sizes: At least `hidden_size` and `num_attention_heads`.
        rotary: Whether positions are rotations of pairs of dimensions, which needs heads of even size.

    Raises:
        UserError: With the nearest head counts that would do.
    """
    width, heads = sizes["hidden_size"], sizes["num_attention_heads"]
    key_value_heads = sizes.get("num_key_value_heads", heads)
    if width % heads:
        raise UserError(
            f"hidden_size {width} is not divisible by num_attention_heads {heads}; nearest that divide: "
            + " and ".join(map(str, nearest_divisors(width, heads)))
        )
    if rotary and (width // heads) % 2:
        raise UserError(
            f"hidden_size {width} over num_attention_heads {heads} gives heads of odd size {width // heads}; "
            "rotary positions pair the dimensions of a head, so its size must be even"
        )
    if heads % key_value_heads:
        raise UserError(
            f"num_attention_heads {heads} is not divisible by num_key_value_heads {key_value_heads}; nearest that "
            "divide: " + " and ".join(map(str, nearest_divisors(heads, key_value_heads)))
        )


def nearest_divisors(number: int, wanted: int) -> list[int]:
    """Return the divisors of `number` just below and just above `wanted`."""
    divisors = [candidate for candidate in range(1, number + 1) if number % candidate == 0]
    below = [candidate for candidate in divisors if candidate < wanted]
    above = [candidate for candidate in divisors if candidate > wanted]
    return below[-1:] + above[:1]
