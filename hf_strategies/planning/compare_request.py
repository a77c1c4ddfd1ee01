"""What a comparison was asked for: a sweep over a few settings, with several seeds and one budget for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from hf_strategies.arguments.layers import find_recipe, read_flags, read_yaml, recipe_names
from hf_strategies.arguments.parse import all_settings
from hf_strategies.arguments.settings import settings_of
from hf_strategies.arguments.topics import setting
from hf_strategies.arguments.tuning_topics import PRETRAIN
from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.planning.job_words import flag_words
from hf_strategies.planning.options import DEFAULT_RECIPE, parse_seeds, split_options
from hf_strategies.planning.sweep_request import (
    SweepOptions,
    SweepRequest,
    check_fixed,
    read_axes,
    settle_request,
)
from hf_strategies.planning.sweep_space import Span, corners, grid

COMPARE = "compare"  # the folder of its recipes
IS_THE_BUDGET = ("max_steps", "num_train_epochs")
SHORTEST = 4  # updates of the first setting that a trial of its speed can be taken from


@dataclass
class CompareOptions:
    """Comparison."""

    vary: list[str] = setting(
        [],
        "What to vary, once per setting: NAME=VALUE,VALUE,... Everything is compared with the first value of each. "
        "NAME may reach into a mapping: architecture_kwargs.norm_position. Where learning_rate varies, "
        "optimizer_kwargs.adamw_lr keeps its ratio to it, unless it varies too.",
    )
    design: Literal["grid", "one_at_a_time"] = setting(
        "grid", "Try every combination, or change one of the first values at a time."
    )
    seeds: str = setting("5", "How many seeds every setting is run with (5), or which (0,1,2); 5 or more are advised.")
    budget: Literal["tokens", "seconds"] = setting(
        "tokens",
        "What is equal: the tokens that every setting trains on, or the seconds that it trains, those of the first "
        "setting; how many updates fit in them is measured before.",
    )
    parallel: int | None = setting(
        None, "Runs side by side (default: one per GPU; on a CPU one, on all of its cores)."
    )
    output_dir: str | None = setting(None, "Its folder (default: runs/compare-<recipe>-<n>, the next free n).")


@dataclass(frozen=True)
class CompareRequest:
    """A comparison that has been checked.

    Args:
        sweep: Its settings, the first of which the others are compared with, and their seeds.
        budget: What is equal: "tokens" or "seconds".
    """

    sweep: SweepRequest
    budget: str


def parse_compare(argv: Sequence[str]) -> CompareRequest:
    """Read and check the command line of a comparison.

    Raises:
        UserError: One line per mistake, all of them at once: the comparison's own, then those of any run's settings.
    """
    problems: list[str] = []
    options, words = split_options(open_comparison(argv), CompareOptions, problems)
    known = all_settings()
    layer, loose = read_flags(words, known, problems)
    fixed = {name: written.value for name, written in layer.values.items()}
    axes = read_axes(options.vary, known, fixed, problems)
    seeds: tuple[int, ...] = ()
    try:
        seeds = read_seeds(options.seeds)
    except ValueError as error:
        problems.append(f"--seeds: {error}")
    for axis in axes:
        if isinstance(axis, Span):
            problems.append(f"--vary {axis.name}: expected VALUE,VALUE,..., got a range")
        if axis.name in IS_THE_BUDGET:
            problems.append(
                f"--vary {axis.name}: every setting has the same budget; it is no part of what is compared"
            )
    if axes and all(not isinstance(axis, Span) and len(axis.values) == 1 for axis in axes):
        problems.append("--vary: expected a second value to compare the first with")
    if options.parallel is not None and options.parallel < 1:
        problems.append(f"--parallel: expected at least 1, got {options.parallel}")
    if options.budget == "seconds" and (options.parallel or 1) > 1:
        problems.append("--parallel: runs side by side take time from each other, which --budget seconds measures")
    check_fixed(fixed, seeds, problems)
    if problems:
        raise UserError("\n".join(problems))
    settings = grid(axes) if options.design == "grid" else corners(axes)
    asked = SweepOptions(vary=options.vary, parallel=options.parallel, output_dir=options.output_dir)
    request = replace(settle_request(asked, axes, settings, seeds, loose, fixed), kind="compare")
    length = request.base.training.get("max_steps", -1)
    if options.budget == "seconds" and length < SHORTEST:
        got = length if length > 0 else "a run whose length is given in epochs"
        raise UserError(
            f"--budget seconds: expected max_steps of at least {SHORTEST}, the length of the first setting's run, "
            f"got {got}"
        )
    return CompareRequest(request, options.budget)


def read_seeds(text: str) -> tuple[int, ...]:
    """Read how many seeds ("5": 0 to 4), or which ("0,1,2").

    Raises:
        ValueError: It is neither; the message says what was expected.
    """
    if "," in text:
        return parse_seeds(text)
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"expected how many, such as 5, or which, such as 0,1,2, got {text!r}")
    return tuple(range(int(text)))


def open_comparison(argv: Sequence[str]) -> list[str]:
    """Write out a YAML file that holds a comparison, which is a command line in another form, before the other words.

    A file holds one where it names one of the options; what is said by flags as well is left out of it. Any other
    first word is left as it is: a recipe of the job, or a YAML file of its settings.

    Raises:
        UserError: The file cannot be read, or what it varies is not written as NAME: [VALUE, VALUE].
    """
    own = {item.name: item for item in settings_of(CompareOptions)}
    named = argv[0] if argv and not argv[0].startswith("--") else DEFAULT_RECIPE
    if named in recipe_names(PRETRAIN):
        return list(argv)
    known = [*recipe_names(COMPARE), *recipe_names(PRETRAIN)]
    if not named.endswith((".yaml", ".yml")) and named not in known:
        raise UserError(f"unknown recipe {named!r}{did_you_mean(named, known)} (or name a .yaml file)")
    written = read_yaml(find_recipe(named, COMPARE), named).values
    if not set(written) & set(own):
        return list(argv)
    said = {_name_of(word) for word in argv[1:] if word.startswith("--")}
    said |= {word.removeprefix("--vary=").partition("=")[0] for word in argv[1:]}  # what is varied there
    values: dict[str, Any] = {name: item.value for name, item in written.items() if name not in said}
    recipe, vary = values.pop("recipe", None), values.pop("vary", {})
    if not isinstance(vary, dict) or not all(isinstance(choices, list) and choices for choices in vary.values()):
        raise UserError(f"{written['vary'].where}: vary: expected lines of NAME: [VALUE, VALUE]")
    axes = [f"{name}={','.join(map(_text, choices))}" for name, choices in vary.items()]
    words = [*([] if recipe is None else [str(recipe)]), *flag_words(values)]
    return [*words, *(f"--vary={axis}" for axis in axes), *argv[1:]]


def _name_of(flag: str) -> str:
    name = flag[2:].partition("=")[0].replace("-", "_")
    return name.removeprefix("no_")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
