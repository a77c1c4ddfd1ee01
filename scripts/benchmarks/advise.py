"""Advice where the answer is known: what `scripts/advise.py` says to train, on five sets of data.

- TREC: 5,452 questions by what they ask for, and 500 to judge by; words and their neighbours tell. The LSTM's rate,
  width and vocabulary were chosen on these data, the other contenders' settings were not.
- AG News: 7,600 headlines of four kinds; words tell.
- digits: scikit-learn's, of 8 x 8 pixels, always at the same places.
- order: two marks of opposite signs, 32 of 64 steps apart, and the first one's sign is the class: nothing else tells.
- words: texts of 22 words, two of which tell the class, wherever they stand.

Each case is a process of the script, within a budget of training; one that is on disk is not asked again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_strategies.errors import UserError, did_you_mean

from . import Findings, Table, require_at_least

if TYPE_CHECKING:
    from .advice_runs.workshop import AdviceRow

ROWS = Path(__file__).parent / "rows" / "advise.jsonl"


def run(
    *,
    cases: tuple[str, ...] = (),
    budget: int = 240,
    seeds: int = 2,
    max_train_samples: int | None = None,
    fresh: bool = False,
) -> Findings:
    """Ask for advice on the cases in turn; some 25 minutes on one core.

    Args:
        cases: Which: TREC, "AG News", digits, order, words; none takes all.
        budget: Seconds of training for each.
        seeds: How often each contender is trained on each share of the data.
        max_train_samples: Rows at most, to see that all of it works; a section of its own.
        fresh: Forget what was measured on this device before.

    Returns:
        The verdicts, the accuracies of all contenders, and what was said.
    """
    from .advice_runs.cases import CASES

    require_at_least(1, budget=budget, seeds=seeds)
    unknown = [f"--cases: unknown case {case!r}{did_you_mean(case, CASES)}" for case in cases if case not in CASES]
    if unknown:
        raise UserError("\n".join(unknown))

    from .advice_runs.workshop import AdviceRow, AdviceWorkshop, Asked, advising_code
    from .training_runs.measure import device_name, made_on
    from .training_runs.plan import remarks_on
    from .training_runs.rows import KeptRows

    workshop = AdviceWorkshop("advise", KeptRows(ROWS, AdviceRow))
    if fresh:
        workshop.rows.forget(device_name())
    settings: dict[str, Any] = {"budget": f"{budget}s", "num_seeds": seeds}
    if max_train_samples is not None:
        settings["max_train_samples"] = max_train_samples
    rows = []
    for case in cases or CASES:
        rows.append(workshop.run(Asked(case=case, settings=settings)))
        print(f"{case}: {rows[-1].results['advice'][0]}", flush=True)
    return Findings(
        [
            Table(verdicts({row.contender: row.results for row in rows}), "advice, and what is right"),
            Table(scores(rows), "accuracies with all the data, and with ten times as much"),
        ],
        remarks=[
            *(f"{row.contender}: {line}." for row in rows for line in row.results["advice"]),
            *remarks_on(rows, advising_code()),
        ],
        origin=made_on([row.finished for row in rows], [row.environment for row in rows]),
        condition="" if max_train_samples is None else f"{max_train_samples} rows",
    )


def verdicts(found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each case: what is said to be trained, and whether it is among what is known to be right."""
    from .advice_runs.cases import CASES

    return [
        {
            "case": case,
            "right": " or ".join(CASES[case].known),
            "advice": results["chosen"],
            "as good": ", ".join(results["as_good"]),
            "verdict": "met" if results["chosen"] in CASES[case].known else "missed",
        }
        for case, results in found.items()
    ]


def scores(rows: Sequence["AdviceRow"]) -> list[dict[str, Any]]:
    """One row for each contender of each case."""
    return [
        {
            "case": row.contender,
            "contender": one["name"],
            "accuracy": round(one["accuracy"], 3),
            "+-": round(one["seed_spread"], 3),
            "with 10x": "{:.3f} ({:.3f} to {:.3f})".format(*one["foretold"]["10"]) if one["foretold"] else "-",
            "seconds": round(one["seconds"], 1),
            "parameters": one["parameters"],
            "training": "whole" if one["is_whole"] else "cut short",
        }
        for row in rows
        for one in row.results["contenders"]
    ]
