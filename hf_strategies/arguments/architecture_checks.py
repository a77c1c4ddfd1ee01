"""What can be wrong with an architecture: its sizes, its options, fields of its config that are settings."""

from collections.abc import Iterator
from functools import partial

from hf_strategies.arguments.merging import PROPORTIONS, SIZES, Value
from hf_strategies.arguments.quantities import parse_parameters
from hf_strategies.arguments.schedule_checks import refused
from hf_strategies.models import ARCHITECTURES, resolve_options, resolve_sizes
from hf_strategies.models.sizes import published_sizes

# Fields of a config that are settings: by name.
OWN_SETTINGS = {name: name for name in (*SIZES, "vocab_size")} | {"max_position_embeddings": "max_seq_length"}


def architecture_problems(values: dict[str, Value]) -> Iterator[str]:
    """Yield one line per mistake about the architecture, each with where it stands."""
    architecture = values.get("architecture")
    if architecture is None or architecture.value is None:
        return
    yield from _override_problems(architecture.value, values)
    if architecture.value not in ARCHITECTURES:
        return
    yield from _size_problems(architecture, values)
    yield from _scaling_problems(values)
    if (options := values.get("architecture_kwargs")) is not None and options.value:
        yield from refused(options, partial(resolve_options, architecture.value, options.value))


def _size_problems(architecture: Value, values: dict[str, Value]) -> Iterator[str]:
    sizes = {name: values[name].value for name in SIZES if name in values}
    for name, size in sizes.items():
        if size is not None and size < 1:
            yield f"{values[name].where}: {name} must be at least 1, got {size}"
            return
    size, parameters = values.get("size"), values.get("parameters")
    if size is not None and size.value is not None:
        wrong = list(refused(size, partial(published_sizes, architecture.value, size.value)))
        if wrong:
            yield from wrong
            return
    if parameters is not None and parameters.value is not None:
        yield from refused(parameters, partial(parse_parameters, parameters.value))
        return  # the width that the heads must divide is chosen when the vocabulary is known
    given = [values[name] for name in sizes if sizes[name] is not None]
    flags = [item for item in given if item.where.startswith("--")]
    blamed = (flags or given or [architecture])[-1]
    yield from refused(blamed, partial(resolve_sizes, architecture.value, sizes, size=size and size.value))


def _scaling_problems(values: dict[str, Value]) -> Iterator[str]:
    """Refuse sizes beside the number of parameters that a recipe is to shrink to."""
    scaled = values.get("scale_to")
    if scaled is None or scaled.value is None:
        return
    yield from refused(scaled, partial(parse_parameters, scaled.value))
    for name in ("size", "parameters", *PROPORTIONS):
        given = values.get(name)
        if given is not None and given.value is not None and (name == "parameters" or given.where.startswith("--")):
            yield f"{given.where}: {name} does not go with scale_to, which chooses the sizes"


def _override_problems(architecture: str, values: dict[str, Value]) -> Iterator[str]:
    """Refuse overrides that would go behind the back of a setting's own checks; a checkpoint's are its own affair."""
    overrides = values.get("config_overrides")
    options = ARCHITECTURES[architecture].facts.get("options", {}) if architecture in ARCHITECTURES else {}
    own = {**dict.fromkeys(options, "architecture_kwargs"), **OWN_SETTINGS}
    for name in (overrides and overrides.value) or {}:
        if overrides is not None and name in own:
            yield f"{overrides.where}: {name} is a setting of its own: {own[name]}"
