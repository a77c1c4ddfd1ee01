"""What an adapter brings along where its user says nothing: its learning rate, and settings of the optimizer."""

from dataclasses import replace
from typing import Any

from torch import nn

from hf_strategies.adapters import ADAPTERS
from hf_strategies.adapters.learning_rate import adapter_learning_rate
from hf_strategies.arguments import Arguments
from hf_strategies.arguments.layers import shipped_layers
from hf_strategies.arguments.merging import Value
from hf_strategies.errors import UserError
from hf_strategies.models.heads import HEADS
from hf_strategies.reports import AdapterBase
from hf_strategies.runs.tuned_model import checkpoint_config
from hf_strategies.tasks.task import Task


def settle_adapter(arguments: Arguments) -> Arguments:
    """Give an adapter that its user chose the rate that it wants, and its settings of the optimizer.

    A rate of the user's own stays, and so does the rate of a recipe that chooses the adapter itself, or is for a head
    alone.

    Raises:
        UserError: The adapter needs parameter groups, and the optimizer has none.
    """
    name = arguments.weights.adapter
    if name is None:
        return arguments
    settled, facts = arguments, ADAPTERS[name].facts
    rate = arguments.values["learning_rate"]
    layers = shipped_layers(arguments.recipe, arguments.job)
    made_for = {key: item.value for layer in layers for key, item in layer.values.items()}
    if rate.from_recipe and not arguments.values["adapter"].from_recipe and not made_for.get("linear_probe"):
        full_rate = float(rate.value)
        if (other := made_for.get("adapter")) is not None:
            full_rate /= ADAPTERS[other].facts["lr_ratio"]
        chosen, rule = adapter_learning_rate(full_rate, name)
        settled = replace(
            settled,
            training={**settled.training, "learning_rate": chosen},
            values={**settled.values, "learning_rate": Value(chosen, f"adapter {name}")},
            notes=[*settled.notes, f"learning_rate: {rule}"],
        )
    groups = facts.get("param_groups")
    if groups is None:
        return settled
    if settled.strategy.optimizer is None:
        raise UserError(f"adapter {name} has rates of its own for some weights: take a registered --optimizer for it")
    wanted = {**groups, **(settled.strategy.param_groups or {})}
    return replace(settled, strategy=replace(settled.strategy, param_groups=wanted))


def adapter_base(arguments: Arguments, task: Task, model: nn.Module) -> AdapterBase | None:
    """Say how anybody loads the checkpoint that an adapter was trained on, with the head that it needs.

    Args:
        arguments: Of the run.
        task: Settled.
        model: As trained.

    Returns:
        None where no adapter was trained.
    """
    asked = arguments.model
    if arguments.weights.adapter is None or asked.model_name_or_path is None:
        return None
    options: dict[str, Any] = {name: value for name, value in task.config.items() if name != "label2id"}
    if options:
        options["ignore_mismatched_sizes"] = True  # a head for other classes: the adapter brings its own
    padding = getattr(model.config, "pad_token_id", None)
    if padding != getattr(checkpoint_config(asked, task.head), "pad_token_id", None):
        options["pad_token_id"] = padding
    if asked.model_revision is not None:
        options["revision"] = asked.model_revision
    if asked.trust_remote_code:
        options["trust_remote_code"] = True
    options = {**(asked.config_overrides or {}), **options}
    return AdapterBase(asked.model_name_or_path, HEADS[task.head].__name__, options)
