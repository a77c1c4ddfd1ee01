"""A recipe's learning rate for a checkpoint that is narrower or wider than those it was found on."""

from dataclasses import replace

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.merging import Value

HIGHEST_RATE = 1e-3  # of AdamW on a pretrained checkpoint, however narrow


def settle_rate(arguments: Arguments, width: int | None) -> Arguments:
    """Change the learning rate in inverse proportion to the width, where it comes with the one it is for.

    That is how Adam's best rate moves (Yang et al. 2022, https://arxiv.org/abs/2203.03466). Small BERTs are fine-tuned
    at up to 3e-4 (Turc et al. 2019, https://arxiv.org/abs/1908.08962), the base one at 5e-5. A rate that was written
    elsewhere than `learning_rate_width` stays, and that width is for no rate then.

    Args:
        arguments: Of the run.
        width: The checkpoint's hidden size; None where it has none, or is trained from scratch.
    """
    found, rate = arguments.values.get("learning_rate_width"), arguments.values.get("learning_rate")
    if found is None or found.value is None or rate is None:
        return arguments
    if _file(found.where) != _file(rate.where):
        return _without_width(arguments, rate.where)
    if width in (None, found.value):
        return arguments
    settled = min(float(rate.value) * found.value / width, max(HIGHEST_RATE, float(rate.value)))
    note = f"learning_rate: {rate.value:g} is for hidden size {found.value}; {width} takes {settled:.3g}"
    where = f"hidden size {width}"
    scaled = replace(
        arguments,
        training={**arguments.training, "learning_rate": settled},
        values={**arguments.values, "learning_rate": Value(settled, where)},
        notes=[*arguments.notes, note],
    )
    return _without_width(scaled, where)


def _without_width(arguments: Arguments, where: str) -> Arguments:
    """Let the rate be this checkpoint's own: what is written down stands in one file, and must rerun it as it is."""
    return replace(
        arguments,
        weights=replace(arguments.weights, learning_rate_width=None),
        values={**arguments.values, "learning_rate_width": Value(None, where)},
    )


def _file(where: str) -> str:
    """Return where a setting was written, without the line."""
    return where.rpartition(":")[0] or where
