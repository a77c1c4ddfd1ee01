"""How near predicted numbers come to true ones, one of each per row."""

from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics

from hf_strategies.errors import UserError
from hf_strategies.metrics.inputs import numbers


def pearson(predictions: Any, references: Any) -> float:
    """Return the linear correlation; 0 where every prediction is the same and says nothing.

    Raises:
        UserError: Every reference is the same: nothing can agree with them.
    """
    predicted, true = _varying(predictions, references)
    return 0.0 if np.ptp(predicted) == 0 else float(stats.pearsonr(predicted, true).statistic)


def spearman(predictions: Any, references: Any) -> float:
    """Return the correlation of ranks, equal values sharing theirs; 0 where every prediction is the same.

    Raises:
        UserError: Every reference is the same: nothing can agree with them.
    """
    predicted, true = _varying(predictions, references)
    return 0.0 if np.ptp(predicted) == 0 else float(stats.spearmanr(predicted, true).statistic)


def mean_absolute_error(predictions: Any, references: Any) -> float:
    """Return the mean distance, in the unit of the references."""
    predicted, true = numbers(predictions, references)
    return float(metrics.mean_absolute_error(true, predicted))


def mean_squared_error(predictions: Any, references: Any) -> float:
    """Return the mean of squared distances, in the square of the references' unit."""
    predicted, true = numbers(predictions, references)
    return float(metrics.mean_squared_error(true, predicted))


def _varying(predictions: Any, references: Any) -> tuple[np.ndarray, np.ndarray]:
    predicted, true = numbers(predictions, references)
    if np.ptp(true) == 0:
        raise UserError(f"references: every one of {len(true)} is {true[0]:g}: a correlation needs two that differ")
    return predicted, true
