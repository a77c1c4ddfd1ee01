"""The command line of one trial: a recipe, flags that all trials share, and what this one tries."""

import json
from collections.abc import Mapping
from typing import Any

from hf_strategies.arguments.parse import all_settings
from hf_strategies.arguments.settings import convert
from hf_strategies.planning.sweep_space import SettingValues


def job_words(
    recipe: str | None, fixed: dict[str, Any], values: SettingValues, seed: int | None, data_seed: int | None
) -> list[str]:
    """Put recipe, fixed flags and varied values into one command line; parts of one mapping share its flag."""
    flags: dict[str, Any] = dict(fixed)
    settings = all_settings()
    for name, text in values.items():
        head, dot, key = name.partition(".")
        if dot:
            parts = flags.get(head) or {}
            parts = parts if isinstance(parts, dict) else convert(settings[head], parts)
            flags[head] = {**parts, **convert(settings[head], f"{key}={text}")}
        else:
            flags[head] = text
    if seed is not None:
        flags |= {"seed": str(seed), "data_seed": str(data_seed)}
    return ([] if recipe is None else [recipe]) + flag_words(flags)


def flag_words(flags: Mapping[str, Any]) -> list[str]:
    """Write settings as words of a command line."""
    words: list[str] = []
    for name, value in flags.items():
        if isinstance(value, list):
            words += [f"--{name}", *value]
        elif isinstance(value, dict):
            words.append(f"--{name}={json.dumps(value)}")
        else:
            words.append(f"--{name}={str(value).lower() if isinstance(value, bool) else value}")
    return words
