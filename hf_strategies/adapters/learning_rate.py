"""The learning rate that an adapter wants, given that of full fine-tuning."""

from hf_strategies.adapters.shelf import ADAPTERS
from hf_strategies.errors import UserError
from hf_strategies.ranges import POSITIVE


def adapter_learning_rate(full_rate: float, name: str) -> tuple[float, str]:
    """Turn the rate that full fine-tuning would have into an adapter's own, and say how.

    Low-rank updates want about ten times the full rate, whatever their rank, where alpha stays the same
    (LoRA Without Regret fits 9.8 over 14 models). Other adapters have rates that do not follow from it.

    Args:
        full_rate: Learning rate of full fine-tuning.
        name: Name on the shelf.

    Returns:
        The adapter's rate, and a sentence that states the rule.

    Raises:
        UserError: The name is unknown, or the rate is no positive number.
    """
    holds, expected = POSITIVE
    if not holds(full_rate):
        raise UserError(f"the rate of full fine-tuning must be {expected}, got {full_rate!r}")
    facts = ADAPTERS[name].facts
    if "lr" in facts:
        rate = facts["lr"]
        return rate, f"{name} trains at {rate:g}, whatever the rate of full fine-tuning ({facts['lr_source']})"
    ratio = facts["lr_ratio"]
    rate = full_rate * ratio
    return rate, f"{name} trains at {ratio:g}x the rate of full fine-tuning, {rate:g} ({facts['lr_source']})"
