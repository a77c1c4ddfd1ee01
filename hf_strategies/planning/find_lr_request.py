"""What a range test was asked for, checked before anything is imported that takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hf_strategies.arguments import Arguments, parse_arguments
from hf_strategies.arguments.topics import setting
from hf_strategies.errors import UserError
from hf_strategies.planning.options import DEFAULT_RECIPE, parse_seeds, split_options

LEAST_STEPS = 10


@dataclass
class FindLROptions:
    """Range test."""

    seeds: str = setting("0,1,2", "One test for each: its seed draws the weights and the order of the data.")
    min: float = setting(1e-6, "Rate of the warm-up, and the lowest of the range.")
    max: float = setting(1.0, "Highest rate of the range; a test ends before it once the loss has diverged.")
    warm_steps: int = setting(50, "Updates at the lowest rate first: the optimizer's state settles before it matters.")
    steps: int = setting(100, "Updates over which the rate rises, each by the same factor.")
    output_dir: str | None = setting(None, "Where to write (default: runs/find-lr-<recipe>-<n>, the next free n).")


@dataclass(frozen=True, kw_only=True)
class FindLRRequest:
    """A range test that has been checked.

    Args:
        options: As given.
        seeds: One test for each.
        arguments: The job's.
    """

    options: FindLROptions
    seeds: tuple[int, ...]
    arguments: Arguments


def parse_find_lr(argv: Sequence[str]) -> FindLRRequest:
    """Read and check the command line of a range test.

    Raises:
        UserError: One line per mistake, all of them at once.
    """
    problems: list[str] = []
    options, words = split_options(argv, FindLROptions, problems)
    seeds: tuple[int, ...] = ()
    try:
        seeds = parse_seeds(options.seeds)
    except ValueError as error:
        problems.append(f"--seeds: {error}")
    try:
        check_range(min_lr=options.min, max_lr=options.max, num_warm_steps=options.warm_steps, num_steps=options.steps)
    except UserError as error:
        problems.append(str(error))
    arguments = None
    try:
        arguments = parse_arguments(words, description="", default_recipe=DEFAULT_RECIPE)
    except UserError as error:
        problems += str(error).splitlines()
    if problems or arguments is None:
        raise UserError("\n".join(problems))
    return FindLRRequest(options=options, seeds=seeds, arguments=arguments)


def check_range(*, min_lr: float, max_lr: float, num_warm_steps: int, num_steps: int) -> None:
    """Refuse what is no range test.

    Raises:
        UserError: A value is out of range.
    """
    if not 0 < min_lr < max_lr < float("inf"):
        raise UserError(f"a range test needs 0 < min < max, got min {min_lr:g} and max {max_lr:g}")
    if num_warm_steps < 0:
        raise UserError(f"a range test's warm_steps must be at least 0, got {num_warm_steps}")
    if num_steps < LEAST_STEPS:
        raise UserError(f"a range test's steps must be at least {LEAST_STEPS}, got {num_steps}")
