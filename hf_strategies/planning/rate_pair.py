"""An optimizer's two rates in a search over one: the rate of embeddings, head and vectors follows that of matrices."""

from typing import Any

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.checks import HOSTS_LEARNING_RATE, RANGES
from hf_strategies.planning.job_words import job_words
from hf_strategies.planning.options import DEFAULT_RECIPE
from hf_strategies.planning.sweep_space import SettingValues, as_number, as_text

RATE, PAIRED = "learning_rate", "optimizer_kwargs.adamw_lr"
NOTE = f"adamw_lr keeps its ratio to {RATE}; to set it apart: --vary {PAIRED}=VALUE,..."


def with_paired_rate(recipe: str | None, fixed: dict[str, Any], values: SettingValues) -> SettingValues:
    """Add the second rate to what a trial tries, where it tries the first alone: as much times its own as the first.

    Args:
        recipe: The job's first word.
        fixed: Flags of all trials, by name.
        values: What the trial tries.

    Raises:
        UserError: The settings are wrong without any rate to try.
    """
    rate = as_number(values.get(RATE, ""))
    if rate is None or PAIRED in values or not RANGES[RATE][0](rate):
        return values
    others = {name: text for name, text in values.items() if name != RATE}
    base = parse_arguments(job_words(recipe, fixed, others, None, None), description="", default_recipe=DEFAULT_RECIPE)
    second = (base.strategy.optimizer_kwargs or {}).get("adamw_lr")
    if second is None:
        return values
    return {**values, PAIRED: as_text(second * rate / base.training.get(RATE, HOSTS_LEARNING_RATE), "")}
