"""What a report shows of a classifier's predictions on its evaluation set."""

from collections.abc import Sequence
from dataclasses import dataclass

from hf_strategies.reports.confusion import Confusion
from hf_strategies.reports.mistakes import Mistake


@dataclass(frozen=True, kw_only=True)
class PredictionReport:
    """Which classes are taken for which (`count_confusions`), and the worst mistakes (`worst_mistakes`)."""

    confusion: Confusion
    mistakes: Sequence[Mistake] = ()
