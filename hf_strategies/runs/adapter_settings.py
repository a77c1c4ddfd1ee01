"""What an adapter brings along where its user says nothing: its learning rate, and settings of the optimizer."""

from dataclasses import replace

from hf_strategies.adapters import ADAPTERS
from hf_strategies.adapters.learning_rate import adapter_learning_rate
from hf_strategies.arguments import Arguments
from hf_strategies.arguments.layers import shipped_layers
from hf_strategies.arguments.merging import Value
from hf_strategies.errors import UserError


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
