"""The config of a model that starts from random weights: its sizes, its options, and what it reads."""

from dataclasses import asdict
from typing import Any

from transformers import PretrainedConfig

from hf_strategies.arguments.merging import SIZES
from hf_strategies.arguments.quantities import parse_parameters
from hf_strategies.arguments.topics import ModelArguments
from hf_strategies.models import ARCHITECTURES, resolve_sizes
from hf_strategies.models.factory import count_parameters, create_config
from hf_strategies.models.nearest_size import nearest_sizes


def fresh_config(
    model: ModelArguments, *, head: str, tokens: dict[str, int | None] | None = None, **inputs: int
) -> PretrainedConfig:
    """Make the config of the architecture that the settings name.

    Args:
        model: What was asked for.
        head: What the model ends in, a key of `HEADS`.
        tokens: Of the tokenizer, as for `create_config`.
        inputs: What it reads, as for `create_config`.

    Raises:
        UserError: Sizes or options that do not fit, or no model comes near to the parameters that were asked for.
    """
    name = model.architecture
    assert name is not None  # parsing refuses settings that name neither it nor a checkpoint

    def made(sizes: dict[str, int]) -> PretrainedConfig:
        return create_config(
            name, sizes=sizes, options=model.architecture_kwargs, tokens=tokens, overrides=model.config_overrides,
            **inputs,
        )  # fmt: skip

    given, options = given_sizes(model), model.architecture_kwargs
    if model.parameters is None:
        sizes, _ = resolve_sizes(name, given, size=model.size, options=options)
    else:
        target = parse_parameters(model.parameters)
        sizes = nearest_sizes(name, given, target, lambda sizes: count_parameters(made(sizes), head), options=options)
    return made(sizes)


def unused_sizes(model: ModelArguments) -> list[str]:
    """Say which of the sizes that were given the architecture does not have."""
    if model.architecture is None:
        return []
    known = ARCHITECTURES[model.architecture].facts["sizes"]
    return [
        f"{name} is unused: {model.architecture} has no such size"
        for name, size in given_sizes(model).items()
        if size is not None and name not in known
    ]


def given_sizes(model: ModelArguments) -> dict[str, Any]:
    """Return the sizes that were asked for one by one, None for the others."""
    return {name: value for name, value in asdict(model).items() if name in SIZES}
