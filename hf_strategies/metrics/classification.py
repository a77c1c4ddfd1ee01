"""How well classes are told apart: scikit-learn's figures, on whatever a model hands over.

Predictions are classes or a score for each; references are classes, -100 where there is none (`inputs.class_labels`).
"""

from functools import partial
from typing import Any

import numpy as np
from sklearn import metrics

from hf_strategies.errors import UserError
from hf_strategies.metrics.inputs import class_labels, class_scores, indicators
from hf_strategies.ranges import is_whole


def accuracy(predictions: Any, references: Any) -> float:
    """Return the share of what is predicted right."""
    predicted, true = class_labels(predictions, references)
    return float(metrics.accuracy_score(true, predicted))


def f1(predictions: Any, references: Any, *, positive: int | str = 1) -> float:
    """Return the harmonic mean of precision and recall of one of two classes; 0 where it is never predicted right.

    Args:
        predictions: Classes or scores.
        references: Classes.
        positive: The class that is looked for.

    Raises:
        UserError: There are more than two classes, or `positive` is neither of two.
    """
    predicted, true = class_labels(predictions, references)
    classes = np.union1d(true, predicted).tolist()
    if len(classes) > 2:
        raise UserError(
            f"f1 is of two classes, got {len(classes)}: f1_macro, f1_micro and f1_weighted average over all"
        )
    if len(classes) == 2 and positive not in classes:
        raise UserError(f"f1: positive = {positive!r} is neither of the classes {classes[0]!r} and {classes[1]!r}")
    return float(metrics.f1_score(true == positive, predicted == positive, zero_division=0.0))


def averaged_f1(average: str, predictions: Any, references: Any) -> float:
    """Return the F1 of all classes that are true or predicted somewhere, averaged.

    Args:
        average: "macro" counts each class once, "weighted" by how often it is true, "micro" counts each prediction
            once (which is the accuracy).
        predictions: Classes or scores.
        references: Classes.
    """
    predicted, true = class_labels(predictions, references)
    return float(metrics.f1_score(true, predicted, average=average, zero_division=0.0))


f1_macro = partial(averaged_f1, "macro")
f1_micro = partial(averaged_f1, "micro")
f1_weighted = partial(averaged_f1, "weighted")


def matthews_correlation(predictions: Any, references: Any) -> float:
    """Return the correlation between true and predicted classes; 0 where either is always the same."""
    predicted, true = class_labels(predictions, references)
    return float(metrics.matthews_corrcoef(true, predicted))


def top_k_accuracy(predictions: Any, references: Any, *, k: int = 5) -> float:
    """Return the share of what has its true class among the `k` with the highest scores.

    Args:
        predictions: A score for each class. `[..., classes]`
        references: Numbers of classes.
        k: At least 2 (1 is the accuracy), and below the number of classes.

    Raises:
        UserError: `k` is out of its range, or there are no scores.
    """
    scores, true = class_scores(predictions, references)
    classes = scores.shape[-1]
    if not is_whole(k) or not 2 <= k < classes:
        raise UserError(f"top_k_accuracy: k must lie in [2, {classes - 1}] with {classes} classes, got {k}")
    return float(metrics.top_k_accuracy_score(true, scores, k=k, labels=np.arange(classes)))


def subset_accuracy(predictions: Any, references: Any) -> float:
    """Return the share of rows whose labels are all predicted, and no other.

    Args:
        predictions: 0 or 1 for each label. `[rows, labels]`
        references: As `predictions`.
    """
    predicted, true = indicators(predictions, references)
    return float(metrics.accuracy_score(true, predicted))


def averaged_multilabel_f1(average: str, predictions: Any, references: Any) -> float:
    """Return the F1 of several labels per row, averaged.

    Args:
        average: "macro" counts each label once, one that is neither true nor predicted anywhere as 0; "micro" counts
            each of all decisions once.
        predictions: 0 or 1 for each label. `[rows, labels]`
        references: As `predictions`.
    """
    predicted, true = indicators(predictions, references)
    return float(metrics.f1_score(true, predicted, average=average, zero_division=0.0))


multilabel_f1_macro = partial(averaged_multilabel_f1, "macro")
multilabel_f1_micro = partial(averaged_multilabel_f1, "micro")
