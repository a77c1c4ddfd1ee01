"""What a sweep was asked for, checked as a whole before anything runs: every trial's command line is tried first."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hf_strategies.arguments import Arguments, parse_arguments
from hf_strategies.arguments.layers import read_flags
from hf_strategies.arguments.parse import all_settings
from hf_strategies.arguments.settings import Setting, convert
from hf_strategies.arguments.topics import setting
from hf_strategies.data.sources import TextSource
from hf_strategies.errors import MissingPackageError, UserError, did_you_mean
from hf_strategies.planning.job_words import job_words
from hf_strategies.planning.options import DEFAULT_RECIPE, parse_seeds, split_options
from hf_strategies.planning.rate_pair import NOTE, with_paired_rate
from hf_strategies.planning.sweep_space import Axis, SettingValues, Span, corners, draw, grid, parse_axis
from hf_strategies.planning.sweep_texts import existing_sources

# Settings that belong to the sweep: what to write instead.
OF_THE_SWEEP = {
    "output_dir": "each trial has a folder in the sweep's own",
    "resume_from_checkpoint": "each trial resumes by itself",
    "seed": "write --seeds 0,1,2",
    "data_seed": "trials are compared on the same data in the same order",
}
FIXED_ONLY = ("seed", "data_seed")  # one value for all trials is welcome


@dataclass
class SweepOptions:
    """Sweep."""

    vary: list[str] = setting(
        [],
        "What to vary, once per setting: NAME=VALUE,VALUE,... or, for random and optuna, NAME=LOW..HIGH (drawn "
        "log-uniformly). NAME may reach into a mapping: optimizer_kwargs.momentum. Where learning_rate varies, "
        "optimizer_kwargs.adamw_lr keeps its ratio to it, unless it varies too.",
    )
    search: Literal["grid", "random", "optuna"] = setting(
        "grid",
        "Try every combination, draw some at random, or let optuna propose them (TPE) and stop those that are worse "
        "than half of the others at a quarter or a half of the run (successive halving; it needs evaluations there).",
    )
    trials: int | None = setting(None, "How many settings random or optuna try.")
    seeds: str | None = setting(
        None, "Run every setting with each of these seeds, such as 0,1,2 (same order of data): the table has a spread."
    )
    parallel: int | None = setting(
        None, "Trials side by side (default: one per GPU; on a CPU one, on all of its cores)."
    )
    output_dir: str | None = setting(None, "The sweep's folder (default: runs/sweep-<recipe>-<n>, the next free n).")


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """A sweep that has been checked.

    Args:
        options: As given.
        axes: What varies.
        settings: The settings to try, in order; empty where optuna proposes them.
        seeds: Seeds of every setting; (None,) leaves the recipe's.
        recipe: The job's first word: a recipe's name or a YAML file; None for the default.
        fixed: Flags of all trials, as read: by name.
        data_seed: Seed of the data's order in all trials.
        base: Arguments of the first trial.
        texts: What the trials read.
        notes: What its user should know.
        kind: The script that asks, after which its folder is named.
    """

    options: SweepOptions
    axes: tuple[Axis, ...]
    settings: tuple[SettingValues, ...]
    seeds: tuple[int | None, ...]
    recipe: str | None
    fixed: dict[str, Any]
    data_seed: int | None
    base: Arguments
    texts: tuple[TextSource, ...]
    notes: tuple[str, ...] = ()
    kind: str = "sweep"

    def trial_argv(self, values: SettingValues, seed: int | None) -> list[str]:
        """The job's command line for one trial, without its output folder."""
        tried = with_paired_rate(self.recipe, self.fixed, values)
        return job_words(self.recipe, self.fixed, tried, seed, self.data_seed)


def parse_sweep(argv: Sequence[str]) -> SweepRequest:
    """Read and check the command line of a sweep.

    Raises:
        UserError: One line per mistake, all of them at once: the sweep's own, then those of any trial's settings.
    """
    problems: list[str] = []
    options, words = split_options(argv, SweepOptions, problems)
    known = all_settings()
    layer, loose = read_flags(words, known, problems)
    _refuse_late_command(loose)
    fixed = {name: written.value for name, written in layer.values.items()}
    axes = read_axes(options.vary, known, fixed, problems)
    seeds = _read_seeds(options, problems)
    _check_search(options, axes, problems)
    check_fixed(fixed, seeds, problems)
    if problems:
        raise UserError("\n".join(problems))
    return settle_request(options, axes, _list_settings(options, axes), seeds, loose, fixed)


def settle_request(
    options: SweepOptions,
    axes: Sequence[Axis],
    settings: Sequence[SettingValues],
    seeds: tuple[int | None, ...],
    loose: Sequence[str],
    fixed: dict[str, Any],
) -> SweepRequest:
    """Try every trial's command line, and settle what all of them share.

    Args:
        options: As given.
        axes: What varies.
        settings: To try; empty where optuna proposes them.
        seeds: Of every setting; (None,) leaves the recipe's.
        loose: Words that belong to no flag, the recipe first.
        fixed: Flags of all trials, by name.

    Raises:
        UserError: All that is wrong with any of them.
    """
    recipe = loose[0] if loose else None
    base, texts, pairs = _try_all(recipe, fixed, settings or corners(axes), list(loose[1:]))
    data_seed = None
    if seeds != (None,):  # trials that differ in their seed alone still see one order of data
        given = [base.training.get(name) for name in ("data_seed", "seed")]
        data_seed = next((seed for seed in given if seed is not None), all_settings()["seed"].default)
    return SweepRequest(
        options=options,
        axes=tuple(axes),
        settings=tuple(settings),
        seeds=seeds,
        recipe=recipe,
        fixed=fixed,
        data_seed=data_seed,
        base=base,
        texts=texts,
        notes=(NOTE,) if pairs else (),
    )


def _refuse_late_command(loose: Sequence[str]) -> None:
    """Refuse a range test that is misspelt, or asked for after other words: its flags would all be found unknown."""
    for word in loose:
        if "." not in word and did_you_mean(word, ["find-lr"]):
            raise UserError(f"{word}: for a range test write find-lr first: python scripts/sweep.py find-lr ...")


def read_axes(
    vary: Sequence[str], known: dict[str, Setting], fixed: Mapping[str, Any], problems: list[str]
) -> list[Axis]:
    """Read what varies.

    Args:
        vary: As given, one text for each setting.
        known: Every setting of the job, by name.
        fixed: Flags of all trials, by name.
        problems: Receives one line per mistake.
    """
    axes: list[Axis] = []
    for text in vary:
        try:
            axis = parse_axis(text, known)
        except ValueError as error:
            problems.append(f"--vary {error}")
            continue
        if axis.name in OF_THE_SWEEP:
            problems.append(f"--vary {axis.name}: {OF_THE_SWEEP[axis.name]}")
        elif axis.name in [other.name for other in axes]:
            problems.append(f"--vary {axis.name}: given twice")
        elif axis.name in fixed or axis.name in _parts_of(fixed, known):
            problems.append(f"--vary {axis.name}: --{axis.name.partition('.')[0]} gives it one value as well")
        else:
            axes.append(axis)
    if not vary:
        problems.append("--vary: expected something to vary, such as --vary learning_rate=1e-3,2e-3,4e-3,8e-3")
    return axes


def check_fixed(fixed: Mapping[str, Any], seeds: tuple[int | None, ...], problems: list[str]) -> None:
    """Refuse flags that are not one trial's to have."""
    if seeds != (None,) and "seed" in fixed:
        problems.append("--seed: --seeds gives every trial its own; choose one")
    problems += [f"--{name}: {why}" for name, why in OF_THE_SWEEP.items() if name in fixed and name not in FIXED_ONLY]


def _parts_of(fixed: Mapping[str, Any], known: Mapping[str, Setting]) -> set[str]:
    """Name the parts that flags give of mappings; a mapping that cannot be read is found by the job's own check."""
    parts = set()
    for name, text in fixed.items():
        if "dict" in known[name].types:
            try:
                parts |= {f"{name}.{key}" for key in convert(known[name], text) or {}}
            except ValueError:
                continue
    return parts


def _read_seeds(options: SweepOptions, problems: list[str]) -> tuple[int | None, ...]:
    if options.seeds is None:
        return (None,)
    try:
        return parse_seeds(options.seeds)
    except ValueError as error:
        problems.append(f"--seeds: {error}")
        return (None,)


def _check_search(options: SweepOptions, axes: Sequence[Axis], problems: list[str]) -> None:
    if options.search == "grid":
        if options.trials is not None:
            problems.append("--trials: a grid tries every combination; it belongs to --search random or optuna")
        problems += [
            f"--vary {axis.name}: a grid needs values; --search random or optuna take a range"
            for axis in axes
            if isinstance(axis, Span)
        ]
    elif options.trials is None and not any(problem.startswith("--trials") for problem in problems):
        problems.append(f"--search {options.search} needs --trials: how many settings to try")
    elif options.search == "optuna" and "," in (options.seeds or ""):
        problems.append(
            "--seeds: optuna judges a setting by one run; take one seed, then a grid of the best settings with several"
        )
    for name in ("trials", "parallel"):
        if (count := getattr(options, name)) is not None and count < 1:
            problems.append(f"--{name}: expected at least 1, got {count}")
    if options.search == "optuna" and importlib.util.find_spec("optuna") is None:
        problems.append(str(MissingPackageError("optuna", "sweep", "--search optuna")))


def _list_settings(options: SweepOptions, axes: Sequence[Axis]) -> list[SettingValues]:
    if options.search == "grid":
        return grid(axes)
    if options.search == "optuna":
        return []
    assert options.trials is not None
    try:
        return draw(axes, options.trials)
    except ValueError as error:
        raise UserError(f"--trials: {error}") from error


def _try_all(
    recipe: str | None, fixed: dict[str, Any], settings: Sequence[SettingValues], loose: list[str]
) -> tuple[Arguments, tuple[TextSource, ...], bool]:
    """Parse every trial's command line.

    Returns:
        The first trial's arguments, what all of them read, and whether a second rate follows one that is tried.

    Raises:
        UserError: All that is wrong in any.
    """
    problems = [f"{word}: expected one recipe or YAML file, then --flags" for word in loose]
    parsed: list[Arguments] = []
    texts: list[TextSource] = []
    pairs = False
    for values in settings:
        try:
            tried = with_paired_rate(recipe, fixed, values)
            pairs = pairs or tried != values
            argv = job_words(recipe, fixed, tried, None, None)
            parsed.append(parse_arguments(argv, description="", default_recipe=DEFAULT_RECIPE))
            texts += existing_sources(parsed[-1])
        except UserError as error:
            problems += str(error).splitlines()
    if problems:
        raise UserError("\n".join(dict.fromkeys(problems)))
    return parsed[0], tuple(dict.fromkeys(texts)), pairs
