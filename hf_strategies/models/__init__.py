"""config -> architecture: presets of the host's model classes, and models of our own."""

from hf_strategies.models.option_checks import resolve_options
from hf_strategies.models.shelf import ARCHITECTURES
from hf_strategies.models.sizes import resolve_sizes

__all__ = ["ARCHITECTURES", "resolve_options", "resolve_sizes"]
