"""A comparison: the runs of a sweep, of equal budgets, and what they say about each setting against the first."""

from collections.abc import Sequence
from pathlib import Path

from hf_strategies.errors import UserError
from hf_strategies.planning.compare_budget import equal_budget
from hf_strategies.planning.compare_plot import draw_comparison
from hf_strategies.planning.compare_request import CompareRequest
from hf_strategies.planning.compare_verdicts import Verdict, answer, judge, notes, verdict_table
from hf_strategies.planning.sweep import Sweep, open_for_trials
from hf_strategies.planning.sweep_request import SweepRequest
from hf_strategies.planning.sweep_results import measure_of, summarise
from hf_strategies.planning.trials import Outcome, Trial

TABLE, PICTURE = "results.txt", "compare.png"


def compare(request: CompareRequest, scripts: Path) -> list[Verdict]:
    """Run what is left to run, then say what helps.

    Args:
        request: A checked one.
        scripts: Folder of the jobs' scripts.

    Returns:
        What was found of every setting, the first of them first.

    Raises:
        UserError: The folder holds something else, the budget cannot be made equal, or the first setting did not come
            to its end.
        SystemExit: A signal ended it (128 + its number); no process is left, and the same command goes on.
    """
    with open_for_trials(request.sweep) as (folder, places, lock):
        sweep = equal_budget(request, folder)
        tried = Sweep(sweep, folder, scripts, places, lock).run()
        return report_comparison(sweep, request.budget, tried, folder)


def report_comparison(
    sweep: SweepRequest, budget: str, tried: Sequence[tuple[Trial, Outcome]], folder: Path
) -> list[Verdict]:
    """Print and write what was found.

    Args:
        sweep: What was run; its first setting is what the others are compared with.
        budget: What was equal.
        tried: All of its runs.
        folder: Of the comparison.

    Raises:
        UserError: There is nothing to compare with.
    """
    measure = measure_of([axis.name for axis in sweep.axes])
    found = summarise(tried, measure)
    results = [result for values in sweep.settings for result in found if result.values == values]
    first = results[0]
    if first.status != "finished":
        raise UserError(
            f"the first setting, to be compared with, {first.status}: {first.reason} (logs are in {folder})"
        )
    verdicts = judge(results)
    said = notes(verdicts, budget)
    lines = [
        verdict_table(verdicts, measure),
        "",
        *(f"answer    {answer(verdict, first, measure)}" for verdict in verdicts[1:]),
        *(f"note      {line}" for line in said),
    ]
    (folder / TABLE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    title = f"Against {verdicts[0].name}" if len(verdicts[0].name) < 70 else f"Comparison of {sweep.base.name}"
    draw_comparison(verdicts, folder / PICTURE, title=title, measure=measure, caption=said)
    print("\n".join(["", *lines, f"picture   {folder / PICTURE}"]), flush=True)
    return verdicts
