"""What a shipped recipe is: where it comes from, what it sets, and what its learning rate does."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from hf_strategies.arguments.batch import tokens_per_update
from hf_strategies.arguments.layers import SHIPPED, find_recipe, shipped_layers
from hf_strategies.arguments.merging import Value, merge
from hf_strategies.arguments.parse import all_settings
from hf_strategies.errors import as_written
from hf_strategies.planning.compare_request import COMPARE
from hf_strategies.planning.planned_curve import even_updates
from hf_strategies.planning.schedule_drawing import WIDTH, plot_text
from hf_strategies.reports.terminal import format_value
from hf_strategies.schedulers import SCHEDULERS, RunScale, bind_curve

SAMPLES_PER_COLUMN = 8  # of the plot: a run may have a million updates


def describe_recipe(name: str, job: str) -> str:
    """Write a recipe's header, a table of all that it sets, and a drawing of its schedule.

    Args:
        name: Of the shipped recipe.
        job: Whose script it is for.
    """
    if job == COMPARE:  # whose settings are a comparison's, in the place of a run's
        return f"{name}, a recipe of scripts/{job}.py\n{find_recipe(name, job).read_text(encoding='utf-8')}"
    values, _ = merge(shipped_layers(name, job), all_settings(job), [])
    drawing = draw(values)
    parts = [f"{name}, a recipe of scripts/{job}.py", *_header(name, job), "", *_table(name, values), "", drawing]
    return "\n".join(parts) + "\n"


def draw(values: Mapping[str, Value]) -> str:
    """Plot the learning rate over the run, or say why it cannot be."""
    steps, scheduler, rate = (values.get(name) for name in ("max_steps", "scheduler", "learning_rate"))
    if scheduler is None or rate is None:
        return "It sets no schedule of its own."
    entry = SCHEDULERS[scheduler.value]
    if steps is None or entry.facts.get("stateful"):
        return f"Its schedule, {scheduler.value}, is as long as its data are: nothing to draw before they are there."
    warmup, shape = (values[name].value if name in values else None for name in ("warmup_steps", "scheduler_kwargs"))
    curve = bind_curve(entry, RunScale(steps.value, tokens_per_update(values)), warmup or 0, shape or {})
    updates = even_updates(steps.value, WIDTH * SAMPLES_PER_COLUMN)
    plot = plot_text({update: rate.value * curve(update) for update in updates})
    return f"learning rate, {scheduler.value}\n{plot}"


def _header(name: str, job: str) -> Iterator[str]:
    """Yield the comment that a recipe begins with."""
    for line in find_recipe(name, job).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            return
        yield line[2:]


def _table(name: str, values: Mapping[str, Value]) -> Iterator[str]:
    """Yield a line per setting; what another recipe set says so."""
    width = max(map(len, values))
    for setting, value in values.items():
        source = value.where.removeprefix(SHIPPED).rpartition(":")[0]
        yield f"{setting:<{width}}  {_written(value.value)}{'' if source == name else f'  (from {source})'}"


def _written(value: Any) -> str:
    """Write a value as a recipe may have it."""
    if isinstance(value, Mapping | list):
        return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).strip()
    return format_value(as_written(value))
