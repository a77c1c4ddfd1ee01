"""What is asked of a plan of time, checked before anything is imported that takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hf_strategies.arguments import Arguments, parse_arguments
from hf_strategies.arguments.topics import setting, trains
from hf_strategies.errors import UserError
from hf_strategies.planning.options import DEFAULT_RECIPE, split_options


@dataclass
class TimeOptions:
    """Options of its own."""

    updates: int = setting(8, "Updates that are timed.")
    warm_updates: int = setting(2, "Updates before them, which are slower: memory is taken, kernels are chosen.")
    price_per_hour: float | None = setting(None, "What an hour of this machine costs.")


def parse_time(words: Sequence[str]) -> tuple[TimeOptions, Arguments]:
    """Read and check the command line of a plan of time.

    Raises:
        UserError: One line per mistake, all of them at once.
    """
    problems: list[str] = []
    options, rest = split_options(words, TimeOptions, problems)
    if options.updates < 1:
        problems.append(f"--updates: expected at least 1, got {options.updates}")
    if options.warm_updates < 0:
        problems.append(f"--warm_updates: expected at least 0, got {options.warm_updates}")
    if options.price_per_hour is not None and not 0 < options.price_per_hour < float("inf"):
        problems.append(f"--price_per_hour: expected a number above 0, got {options.price_per_hour:g}")
    arguments = None
    try:
        arguments = parse_arguments(rest, description="", default_recipe=DEFAULT_RECIPE)
        if not trains(arguments.training):
            problems.append("the run only evaluates: there is no training to time")
    except UserError as error:
        problems += str(error).splitlines()
    if problems or arguments is None:
        raise UserError("\n".join(problems))
    return options, arguments
