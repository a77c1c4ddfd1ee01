"""What a sweep found: trials grouped by setting, ranked, and where the best of them lies."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hf_strategies.planning.sweep_space import SettingValues, as_number
from hf_strategies.planning.trials import Outcome, Trial
from hf_strategies.reports import format_duration, format_number, format_table

BASIN_SHARE = 0.01  # losses within 1% of the best are as good, unless chance alone makes more of a difference
RANKS = ("finished", "stopped", "diverged", "failed")

# Settings under which a loss per token no longer means the same: losses are compared per byte of text.
CHANGES_TOKENS = ("tokenizer", "vocab_size", "tokenizer_name", "model_name_or_path")


@dataclass(frozen=True)
class SettingResult:
    """What a setting came to over its seeds.

    Args:
        values: The setting.
        status: The worst of its trials'.
        losses: One per finished trial, in the order of their seeds.
        reason: Why it is not finished.
        seconds: Training time of its finished trials together.
    """

    values: SettingValues
    status: str
    losses: tuple[float, ...]
    reason: str
    seconds: float

    @property
    def loss(self) -> float:
        """Mean over the seeds; infinite unless all of them finished."""
        return statistics.fmean(self.losses) if self.status == "finished" else math.inf

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds; 0 for one."""
        return statistics.stdev(self.losses) if len(self.losses) > 1 else 0.0


def count_settings(count: int) -> str:
    """Write "1 setting" or "2 settings"."""
    return f"{count} setting{'s' if count != 1 else ''}"


def measure_of(names: Sequence[str]) -> str:
    """Name the result that a sweep over `names` minimises."""
    return "eval_bits_per_byte" if set(names) & set(CHANGES_TOKENS) else "eval_loss"


def result_row(trial: Trial, outcome: Outcome) -> dict[str, Any]:
    """A trial's line of results.jsonl."""
    seed = {} if trial.seed is None else {"seed": trial.seed}
    kept = ("eval_loss", "eval_bits_per_byte", "train_runtime", "train_tokens_per_second")
    results = {name: outcome.results[name] for name in kept if name in outcome.results}
    reason = {"reason": outcome.reason} if outcome.reason else {}
    values = {name: text if (number := as_number(text)) is None else number for name, text in trial.values.items()}
    return {"trial": trial.folder.name, **values, **seed, "status": outcome.status, **results, **reason}


def summarise(tried: Sequence[tuple[Trial, Outcome]], measure: str) -> list[SettingResult]:
    """Group trials by setting and rank the settings, the lowest loss first.

    Args:
        tried: Trials that have ended.
        measure: Which result counts.
    """
    groups: dict[tuple[str, ...], list[tuple[Trial, Outcome]]] = {}
    for trial, outcome in tried:
        groups.setdefault(tuple(trial.values.values()), []).append((trial, outcome))
    results = []
    for group in groups.values():
        members = sorted(group, key=lambda member: member[0].seed or 0)
        worst = max((outcome for _, outcome in members), key=lambda outcome: RANKS.index(outcome.status))
        finished = [outcome.results for _, outcome in members if outcome.status == "finished"]
        results.append(
            SettingResult(
                values=members[0][0].values,
                status=worst.status,
                losses=tuple(found[measure] for found in finished),
                reason=worst.reason,
                seconds=math.fsum(found.get("train_runtime", 0.0) for found in finished),
            )
        )
    return sorted(results, key=lambda result: (result.loss, RANKS.index(result.status)))


def tolerance(results: Sequence[SettingResult]) -> tuple[float, str]:
    """How much above the best a loss is as good, and why.

    Seeds are shared by all settings, and much of their luck with them: what tells two settings apart is the difference
    seed by seed. Its standard error is taken from each setting against the best; the median is not moved by a few that
    are about to diverge.

    Args:
        results: Ranked.
    """
    best = results[0]
    errors = []
    for other in results[1:]:
        if other.status == "finished" and len(best.losses) > 1:
            differences = [loss - least for loss, least in zip(other.losses, best.losses, strict=True)]
            errors.append(statistics.stdev(differences) / math.sqrt(len(differences)))
    share = BASIN_SHARE * best.loss
    error = statistics.median(errors) if errors else 0.0
    if error > share:
        return error, "the standard error of a difference over the seeds"
    return share, "1% of the best"


def main_axis(results: Sequence[SettingResult]) -> str:
    """Name the setting to look at first: the learning rate where it varies, else the first that varies in numbers."""
    names = list(results[0].values)
    numeric = [name for name in names if all(as_number(result.values[name]) is not None for result in results)]
    rates = [name for name in numeric if name == "learning_rate" or name.endswith("lr")]
    return (rates or numeric or names)[0]


def basin(results: Sequence[SettingResult], axis: str) -> tuple[float, float] | None:
    """Find the range around the best along a numeric setting, all others as the best's, where the loss is as good.

    Between two points the loss is taken to be linear, in the logarithm of the setting where all its values are above
    0. The range ends at the outermost finished value before one where the loss has left it, or one that did not come
    to its end: what lies beyond that is another range.

    Returns:
        Its lowest and highest value; None where the setting is no number.
    """
    best = results[0]
    line = {
        as_number(result.values[axis]): result.loss
        for result in reversed(results)
        if {**result.values, axis: ""} == {**best.values, axis: ""}
    }
    values = sorted(value for value in line if value is not None)
    here = as_number(best.values[axis])
    if here is None or len(values) < len(line):
        return None
    to_scale, from_scale = (math.log, math.exp) if values[0] > 0 else (float, float)
    limit = best.loss + tolerance(results)[0]
    ends = []
    for side in ([value for value in reversed(values) if value < here], [value for value in values if value > here]):
        end = here
        for value in side:
            if math.isinf(line[value]):
                break
            if line[value] > limit:
                share = (limit - line[end]) / (line[value] - line[end])
                end = from_scale(to_scale(end) + share * (to_scale(value) - to_scale(end)))
                break
            end = value
        ends.append(end)
    return ends[0], ends[1]


def results_table(results: Sequence[SettingResult], measure: str) -> str:
    """Lay out settings by rank; the best is marked, and so is what is as good."""
    best = results[0]
    margin, _ = tolerance(results)
    several = any(len(result.losses) > 1 for result in results)
    rows = []
    for result in results:
        finished = result.status == "finished"
        mark = "best" if result is best else "as good" if result.loss <= best.loss + margin else ""
        spread = [format_number(result.spread) if finished else ""] if several else []
        loss = format_number(result.loss) if finished else "-"
        time = format_duration(result.seconds) if finished else "-"
        note = mark if finished else f"{result.status}: {result.reason}"
        rows.append([*result.values.values(), loss, *spread, time, note])
    return format_table(rows, [*best.values, measure, *(["+-"] if several else []), "training", ""])


def edge_warnings(results: Sequence[SettingResult]) -> list[str]:
    """Say along which settings the best is the lowest or highest value tried, where the true best may lie beyond.

    A value that diverged counts as tried: it says that there is nothing to look for. So does a next value that is as
    good, all else as the best's: there the loss no longer depends on the setting.

    Args:
        results: Ranked; the first is finished.
    """
    best, warnings = results[0], []
    limit = best.loss + tolerance(results)[0]
    as_good = [result.values for result in results if result.loss <= limit]
    for name, text in best.values.items():
        tried = [as_number(result.values[name]) for result in results if result.status != "failed"]
        values = sorted({value for value in tried if value is not None})
        here = as_number(text)
        if here is None or len(values) < 2 or here not in (values[0], values[-1]):
            continue
        side, neighbour = ("lowest", values[1]) if here == values[0] else ("highest", values[-2])
        if any(as_number(values[name]) == neighbour and {**values, name: text} == best.values for values in as_good):
            continue
        beyond = f", such as {here * here / neighbour:.3g}" if here > 0 and neighbour > 0 else ""
        warnings.append(f"the best {name}, {text}, is the {side} that was tried: try values beyond it{beyond}")
    return warnings
