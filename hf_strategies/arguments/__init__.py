"""dataclasses per topic, layers (recipe, YAML, flags), resolved_config.yaml."""

from hf_strategies.arguments.parse import Arguments, parse_arguments

__all__ = ["Arguments", "parse_arguments"]
