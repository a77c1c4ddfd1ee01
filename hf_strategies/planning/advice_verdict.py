"""What to train, from what every contender scored on growing shares of the data: now, and with more of them."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_strategies.planning.learning_curve import FEWEST_SIZES, foretell
from hf_strategies.reports import format_count
from hf_strategies.reports.terminal import format_duration

FACTORS = (2, 3, 10)  # times the data
DRAWS = 200  # of what is foretold
ONE_SIDED_95 = 1.645
CLOSE_CALL = 0.6  # chance below which nobody is said to win
WIDE_GAP = 0.10  # between training and validation accuracy: a sign of overfitting
CLEAR_GAIN = 0.01  # accuracy that data must promise to be worth collecting


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One contender, trained once.

    Args:
        name: The contender's.
        size: Examples that it was trained on.
        seed: Of its weights and of its choice of examples.
        right: Of each validation row, whether it was answered right.
        train_accuracy: On rows that it was trained on.
        seconds: It trained.
        row_seconds: It takes to answer one row.
        parameters: That were learned.
        is_whole: Whether the budget let it train to its end.
    """

    name: str
    size: int
    seed: int
    right: np.ndarray
    train_accuracy: float
    seconds: float
    row_seconds: float
    parameters: int
    is_whole: bool = True

    @property
    def error(self) -> float:
        return 1.0 - float(self.right.mean())


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A contender over its seeds.

    Args:
        name: Its name.
        sizes: Examples that it was trained on, ascending.
        errors: At each size, the mean over seeds.
        deviations: Standard errors of these, of seeds and of the validation rows.
        seed_spread: Standard deviation over seeds with all the data; 0 of one seed.
        row_accuracy: Of each validation row with all the data, the share of seeds that answered it right.
        gap: Training accuracy less validation accuracy, with all the data.
        seconds, row_seconds, parameters: As of `Fit`, with all the data.
        is_whole: Whether all of its fits were.
        foretold: Errors by factor of data, one per draw.
    """

    name: str
    sizes: tuple[int, ...]
    errors: tuple[float, ...]
    deviations: tuple[float, ...]
    seed_spread: float
    row_accuracy: np.ndarray
    gap: float
    seconds: float
    row_seconds: float
    parameters: int
    is_whole: bool
    foretold: Mapping[int, np.ndarray]

    @property
    def accuracy(self) -> float:
        """With all the data."""
        return 1.0 - self.errors[-1]

    def interval(self, factor: int) -> tuple[float, float, float]:
        """Return the accuracy to expect with so many times the data: its median, and a 90% interval."""
        low, middle, high = np.quantile(1.0 - self.foretold[factor], [0.05, 0.5, 0.95])
        return float(middle), float(low), float(high)


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to train.

    Args:
        standings: The most accurate first.
        as_good: Names of those that chance may have put behind the first.
        chosen: The one to train: the cheapest as good.
        chances: By factor of data, the chance of each contender to be the best.
        warnings: Signs of overfitting, and what was cut short.
    """

    standings: tuple[Standing, ...]
    as_good: tuple[str, ...]
    chosen: Standing
    chances: Mapping[int, Mapping[str, float]]
    warnings: tuple[str, ...]


def stand(fits: Sequence[Fit], *, seed: int) -> Standing:
    """Bring the fits of one contender together.

    Args:
        fits: Of one contender; all seeds have been tried with all the data, or as many as the budget let.
        seed: Of the draws of what is foretold.
    """
    sizes = sorted({fit.size for fit in fits})
    errors, deviations = [], []
    by_size = [[fit for fit in fits if fit.size == size] for size in sizes]
    of_seeds = [statistics.pvariance([fit.error for fit in some]) for some in by_size if len(some) > 1]
    for some in by_size:
        mean = statistics.fmean(fit.error for fit in some)
        rows = len(some[0].right)
        inside = min(max(mean, 1 / rows), 1 - 1 / rows)  # no row wrong is not no doubt
        errors.append(mean)
        luck = statistics.fmean(of_seeds) / len(some) if of_seeds else 0.0
        deviations.append(math.sqrt(luck + inside * (1 - inside) / rows))
    whole = by_size[-1]
    targets = [factor * sizes[-1] for factor in FACTORS]
    foretold: dict[int, np.ndarray] = {}
    if len(sizes) >= FEWEST_SIZES:
        if whole[0].parameters:
            told = foretell(sizes, errors, deviations, targets, draws=DRAWS, seed=seed)
        else:  # nothing is learned, and nothing more by more data
            doubts = deviations[-1] * np.random.default_rng(seed).normal(size=(DRAWS, 1))
            told = np.clip(errors[-1] + doubts, 0.0, 1.0).repeat(len(FACTORS), axis=1)
        foretold = dict(zip(FACTORS, told.T))
    accuracies = [1 - fit.error for fit in whole]
    return Standing(
        name=whole[0].name,
        sizes=tuple(sizes),
        errors=tuple(errors),
        deviations=tuple(deviations),
        seed_spread=statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0,
        row_accuracy=np.mean([fit.right for fit in whole], axis=0),
        gap=statistics.fmean(fit.train_accuracy for fit in whole) - statistics.fmean(accuracies),
        seconds=statistics.fmean(fit.seconds for fit in whole),
        row_seconds=statistics.fmean(fit.row_seconds for fit in whole),
        parameters=whole[0].parameters,
        is_whole=all(fit.is_whole for fit in fits),
        foretold=foretold,
    )


def is_as_good(standing: Standing, best: Standing) -> bool:
    """Tell whether chance may have put a contender behind the best: row by row, and seed by seed, one-sided at 5%."""
    gain = best.row_accuracy - standing.row_accuracy
    of_rows = float(gain.var()) / len(gain)
    of_seeds = standing.seed_spread**2 + best.seed_spread**2
    return float(gain.mean()) <= ONE_SIDED_95 * math.sqrt(of_rows + of_seeds)


def advise(fits: Sequence[Fit]) -> Advice:
    """Say what to train.

    Args:
        fits: Of all contenders.
    """
    names = dict.fromkeys(fit.name for fit in fits)
    # Every contender has draws of its own: what is foretold of one does not move with another's.
    found = [stand([fit for fit in fits if fit.name == name], seed=place) for place, name in enumerate(names)]
    standings = sorted(found, key=lambda standing: (standing.errors[-1], standing.seconds))
    best = standings[0]
    as_good = [standing for standing in standings if is_as_good(standing, best)]
    chances = {}
    for factor in FACTORS if all(standing.foretold for standing in standings) else ():
        winners = np.argmin([standing.foretold[factor] for standing in standings], axis=0)
        chances[factor] = {standing.name: float((winners == place).mean()) for place, standing in enumerate(standings)}
    return Advice(
        standings=tuple(standings),
        as_good=tuple(standing.name for standing in as_good),
        chosen=min(as_good, key=lambda standing: standing.seconds),
        chances=chances,
        warnings=tuple(warnings(standings)),
    )


def warnings(standings: Sequence[Standing]) -> list[str]:
    """Say who learned rows by heart, and whose training was cut short."""
    lines = []
    for standing in standings:
        if standing.gap > WIDE_GAP:
            lines.append(
                f"{standing.name} overfits: {standing.gap + standing.accuracy:.3f} right on rows it has seen, "
                f"{standing.accuracy:.3f} on others"
            )
        if not standing.is_whole:
            lines.append(f"{standing.name} was cut short by the budget: a larger --budget may do it more justice")
    return lines


def recommendation(advice: Advice, transformers: Sequence[str]) -> list[str]:
    """Say in words what to train, why, and what would change that.

    Args:
        advice: To be told.
        transformers: Names of the contenders that are transformers.
    """
    chosen, best = advice.chosen, advice.standings[0]
    others = len(advice.as_good) - 1
    why = f"{chosen.accuracy:.3f} accuracy after {format_duration(chosen.seconds)} of training"
    if chosen is not best:
        why += f"; {best.name} has {best.accuracy:.3f}, which chance may explain, and takes {_times(best, chosen)}"
    elif others:
        why += f"; {others} more are as good, and cost more"
    else:
        why += "; no other is as good"
    lines = [f"train {chosen.name}: {why}"]
    asked = [standing for standing in advice.standings if standing.name in transformers]
    if asked and chosen.name in transformers:
        lines.append(
            f"a transformer is worth it here: {format_count(chosen.parameters)} parameters learn what others miss"
        )
    elif asked and asked[0].name in advice.as_good:
        lines.append(f"a transformer is not needed: {asked[0].name} has {asked[0].accuracy:.3f}, and costs more")
    elif asked:
        lines.append(f"do not train a transformer for this: {asked[0].name} has {asked[0].accuracy:.3f}")
    for factor, chances in advice.chances.items():
        name, chance = max(chances.items(), key=lambda item: item[1])
        standing = next(standing for standing in advice.standings if standing.name == name)
        middle, low, high = standing.interval(factor)
        who = f"{name} would win" if chance >= CLOSE_CALL else f"too close to call; {name} leads"
        lines.append(
            f"with {factor}x the data {who} ({chance:.0%}): {middle:.3f}, 90% between {low:.3f} and {high:.3f}"
        )
    if advice.chances and chosen.interval(FACTORS[-1])[0] - chosen.accuracy < CLEAR_GAIN:
        lines.append(
            f"more data would add less than {CLEAR_GAIN:.0%} to {chosen.name}, even {FACTORS[-1]} times as many"
        )
    if not advice.chances:
        lines.append("too few examples to say what more of them would bring")
    return lines


def _times(one: Standing, other: Standing) -> str:
    ratio = one.seconds / max(other.seconds, 1e-3)
    return f"{ratio:.0f} times as long" if ratio >= 1.5 else "as long"
