"""What a sweep leaves behind to look at: a table, a picture, and the best settings as a recipe."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from hf_strategies.arguments import Arguments, parse_arguments
from hf_strategies.arguments.resolved import NOT_IDENTITY
from hf_strategies.errors import UserError
from hf_strategies.planning.options import DEFAULT_RECIPE
from hf_strategies.planning.sweep_plot import draw_sweep
from hf_strategies.planning.sweep_request import SweepRequest
from hf_strategies.planning.sweep_results import (
    SettingResult,
    basin,
    count_settings,
    edge_warnings,
    main_axis,
    measure_of,
    results_table,
    summarise,
    tolerance,
)
from hf_strategies.planning.trials import Outcome, Trial
from hf_strategies.reports import format_number

TABLE, PICTURE, BEST = "results.txt", "sweep.png", "best.yaml"


def report_sweep(request: SweepRequest, tried: Sequence[tuple[Trial, Outcome]], folder: Path) -> None:
    """Print and write what was found.

    Raises:
        UserError: No setting came to its end.
    """
    measure = measure_of([axis.name for axis in request.axes])
    results = summarise(tried, measure)
    table = results_table(results, measure)
    best = results[0]
    if best.status != "finished":
        print(f"\n{table}\n")
        raise UserError(f"no setting came to its end; the first: {best.reason} (logs are in {folder})")
    chosen = ", ".join(f"{name} {text}" for name, text in best.values.items())
    command = shlex.join(["python", "scripts/pretrain.py", str(folder / BEST)])
    lines = [
        table,
        "",
        f"best      {chosen}: {measure} {format_number(best.loss)}",
        describe_basin(results),
        *(f"warning   {warning}" for warning in edge_warnings(results)),
    ]
    (folder / TABLE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw_sweep(results, folder / PICTURE, title=f"Sweep of {request.base.name}", measure=measure)
    header = (
        f"The best of {count_settings(len(results))} ({folder}): {chosen}.\n{measure} {format_number(best.loss)}. "
    )
    write_best(request, best, folder / BEST, header + f"Run it: {command}")
    print("\n".join(["", *lines, f"picture   {folder / PICTURE}", f"recipe    {command}"]), flush=True)


def describe_basin(results: Sequence[SettingResult]) -> str:
    """Say which values are as good as the best, and where none lie between others, how many settings."""
    margin, why = tolerance(results)
    near = f"within {format_number(margin)} of the best ({why})"
    axis = main_axis(results)
    found = basin(results, axis)
    if found is not None:
        return f"basin     {axis} {found[0]:.3g} to {found[1]:.3g}: {near}"
    as_good = [result for result in results if result.loss <= results[0].loss + margin]
    return f"as good   {len(as_good)} of {count_settings(len(results))}: {near}"


def write_best(request: SweepRequest, best: SettingResult, path: Path, header: str) -> None:
    """Write the best settings as a recipe, for the sweep's first seed."""
    argv = request.trial_argv(best.values, request.seeds[0])
    arguments = parse_arguments(argv, description="", default_recipe=DEFAULT_RECIPE)
    path.write_text(recipe_text(arguments, header), encoding="utf-8")


def recipe_text(arguments: Arguments, header: str) -> str:
    """Write a YAML file that runs as `arguments` did, on any machine.

    Args:
        arguments: Of the run; what its shipped recipe says is left to that recipe.
        header: Comment lines on top, without their "#".
    """
    own = {
        name: item.value
        for name, item in arguments.values.items()
        if name not in NOT_IDENTITY and not item.from_recipe
    }
    comments = "".join(f"# {line}\n" for line in header.splitlines())
    return f"{comments}\nrecipe: {arguments.recipe}\n{yaml.safe_dump(own, sort_keys=False, width=10_000)}"
