"""Does it help? Every setting of a comparison against the first, in numbers and in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hf_strategies.planning.paired_test import LEVEL, Difference, holm, paired_difference
from hf_strategies.planning.sweep_results import BASIN_SHARE, SettingResult
from hf_strategies.planning.sweep_space import SettingValues
from hf_strategies.reports import format_number, format_table
from hf_strategies.reports.terminal import format_duration

MANY = 100  # seeds that nobody runs
ORDINARY = 0.10  # a run that takes so much longer or shorter is said to
RATE = "learning_rate"
WANTS_ANOTHER_RATE = (
    "optimizer",
    "architecture",
    "hidden_size",
    "num_hidden_layers",
    "global_batch_size",
    "scheduler",
)


@dataclass(frozen=True)
class Verdict:
    """One setting against the first.

    Args:
        result: What it came to.
        name: What it changes, in words.
        difference: From the first, seed by seed; None of the first itself and of what did not come to its end.
        p: The chance of as large a difference without an effect, adjusted for all that were tested.
        word: "first", "helps", "hurts", "no matter", "unsettled", or the result's status.
        time: Its training time over the first's; 1 where either is not known.
    """

    result: SettingResult
    name: str
    difference: Difference | None
    p: float
    word: str
    time: float


def judge(results: Sequence[SettingResult]) -> list[Verdict]:
    """Compare settings with the first.

    Args:
        results: In the order in which they were asked for; the first is finished.
    """
    first = results[0]
    verdicts = [Verdict(first, _change(first.values, {}), None, math.nan, "first", 1.0)]
    for result in results[1:]:
        difference = paired_difference(result.losses, first.losses) if result.status == "finished" else None
        time = result.seconds / first.seconds if difference and first.seconds and result.seconds else 1.0
        name = _change(result.values, first.values)
        verdicts.append(Verdict(result, name, difference, math.nan, result.status, time))
    tested = [place for place, verdict in enumerate(verdicts) if verdict.difference is not None]
    adjusted = holm([verdict.difference.p for verdict in verdicts if verdict.difference is not None])
    for place, p in zip(tested, adjusted):
        difference = verdicts[place].difference
        assert difference is not None
        verdicts[place] = replace(verdicts[place], p=p, word=_word(difference, p, BASIN_SHARE * first.loss))
    return verdicts


def _word(difference: Difference, p: float, margin: float) -> str:
    if p < LEVEL:
        return "helps" if difference.mean < 0 else "hurts"
    return "no matter" if -margin <= difference.low <= difference.high <= margin else "unsettled"


def _change(values: SettingValues, first: SettingValues) -> str:
    """Name what a setting has that the first has not: an option by its own name, where no other has the same."""
    own = {name: name.rpartition(".")[2] for name in values}
    seen = list(own.values())
    return ", ".join(
        f"{own[name] if seen.count(own[name]) == 1 else name} {text}"
        for name, text in values.items()
        if first.get(name) != text
    )


def answer(verdict: Verdict, first: SettingResult, measure: str) -> str:
    """Say in a sentence whether a change helps, here."""
    found = verdict.difference
    if found is None:
        return f"{verdict.name}: {verdict.result.reason or 'what the others are compared with'}"
    size = f"{measure} {_signed(found.mean)} ({found.mean / first.loss:+.1%})"
    between = f"95% between {_signed(found.low)} and {_signed(found.high)}, p {_chance(verdict.p)}"
    time = "" if abs(verdict.time - 1) < ORDINARY else f", in {verdict.time:.2g} times the time"
    if len(found.values) == 1:
        return f"{verdict.name}: {size}{time}; one seed cannot tell that from luck"
    if verdict.word in ("helps", "hurts"):
        return f"{verdict.name} {verdict.word}: {size}{time}; {between}"
    if verdict.word == "no matter":
        return f"{verdict.name} makes no difference that matters: {size}{time}; {between}, within {BASIN_SHARE:.0%}"
    needed = found.pairs_needed and max(found.pairs_needed, len(found.values) + 1)  # it is no answer to many questions
    seeds = f"about {needed} seeds" if needed is not None and needed <= MANY else f"more than {MANY} seeds"
    return f"{verdict.name} is unsettled: {size}{time}; {between}; {seeds} would settle a difference of this size"


def verdict_table(verdicts: Sequence[Verdict], measure: str) -> str:
    """Lay settings out in the order in which they were asked for."""
    rows = []
    for verdict in verdicts:
        result, found = verdict.result, verdict.difference
        finished = result.status == "finished"
        runs = max(len(result.losses), 1)
        rows.append([
            verdict.name,
            format_number(result.loss) if finished else "-",
            format_number(result.spread) if finished and runs > 1 else "-",
            _signed(found.mean) if found else "-",
            _chance(verdict.p) if found and runs > 1 else "-",
            format_duration(result.seconds / runs) if finished else "-",
            verdict.word,
        ])  # fmt: skip
    return format_table(rows, ["setting", measure, "+-", "change", "p", "a run", ""])


def notes(verdicts: Sequence[Verdict], budget: str) -> list[str]:
    """Say what was compared and how, and what it cannot show."""
    first, others = verdicts[0].result, [verdict for verdict in verdicts if verdict.difference is not None]
    num_seeds = len(first.losses)
    seeds = f"{num_seeds} seed{'s' * (num_seeds > 1)}"
    lines = [
        f"equal {budget}, one order of data; a seed has the same initial weights wherever the model is the same",
        f"paired t test over {seeds}, p by Holm over {len(others)} question{'s' * (len(others) != 1)}: it takes "
        "differences to be about normal, which few seeds cannot show; Wilcoxon's ranks could not fall below "
        f"{2 / 2**num_seeds:.2g} with {seeds}",
    ]
    changed = {
        name for verdict in verdicts for name, text in verdict.result.values.items() if first.values.get(name) != text
    }
    if RATE not in changed and (alone := [name for name in WANTS_ANOTHER_RATE if name in changed]):
        lines.append(
            f"one {RATE} for all: another {alone[0]} may want another rate; --vary {RATE}=... as well to be fair to it"
        )
    return lines


def _signed(value: float) -> str:
    return f"{value:+.4g}"


def _chance(p: float) -> str:
    return "<0.0001" if p < 1e-4 else f"{p:.2g}"
