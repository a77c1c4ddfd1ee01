"""What metrics are given: predictions and references, brought to one shape and looked at before anything is computed.

What does not fit, is not finite or is not there at all is a UserError that says where.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hf_strategies.errors import UserError

IGNORED = -100  # a label that stands for none: padding, and whatever is not to be learned


def first_output(outputs: Any) -> Any:
    """Return a model's scores: what it hands over, or the first of several things."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def class_labels(predictions: Any, references: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted and the true class of whatever has one. `[labels]`

    Args:
        predictions: Classes, or a score for each of them, of which the highest counts. `[...]` or `[..., classes]`
        references: Classes: numbers with -100 where there is none, `[rows]` or `[rows, tokens]`; or names, one per row
            or rows of any length.
    """
    if _holds_names(references):
        return _flat_names(predictions, references)
    predicted, true = _array(predictions, "predictions"), _array(references, "references")
    if predicted.ndim == true.ndim + 1:
        scores, true = class_scores(predicted, true)
        return scores.argmax(axis=-1), true
    _expect_same_shape(predicted, true)
    kept = _kept(true)
    for array, name in ((predicted, "predictions"), (true, "references")):
        _refuse(~np.isfinite(array) & kept, array, name, "a class")
        _refuse((array != np.floor(array)) & kept, array, name, "a class")
    return predicted[kept], true[kept]


def class_scores(predictions: Any, references: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of all classes and the true class of whatever has one. `[labels, classes]` and `[labels]`

    Args:
        predictions: A score for each class. `[..., classes]`
        references: Numbers of classes, -100 where there is none. `[...]`
    """
    predicted, true = _array(predictions, "predictions"), _array(references, "references")
    if predicted.shape[:-1] != true.shape:
        raise UserError(
            f"predictions: expected a score for each class, {list(true.shape)} x classes, got {list(predicted.shape)}"
        )
    kept, classes = _kept(true), predicted.shape[-1]
    _refuse(~np.isfinite(predicted) & kept[..., None], predicted, "predictions", "a score")
    _refuse(
        kept & ~np.isin(true, np.arange(classes)), true, "references", f"a class that has a score, 0 to {classes - 1}"
    )
    return predicted[kept], true[kept].astype(int)


def numbers(predictions: Any, references: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return one predicted and one true number per row, from `[rows]` or `[rows, 1]`."""
    predicted, true = (
        array[:, 0] if array.shape[1:] == (1,) else array
        for array in (_array(predictions, "predictions"), _array(references, "references"))
    )
    _expect_same_shape(predicted, true)
    if true.ndim != 1:
        raise UserError(f"references: expected one number per row, got shape {list(true.shape)}")
    for array, name in ((predicted, "predictions"), (true, "references")):
        _refuse(~np.isfinite(array), array, name, "a number")
    return predicted.astype(np.float64), true.astype(np.float64)


def indicators(predictions: Any, references: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return which labels each row is predicted to have and which it has, as 0 and 1. `[rows, labels]`"""
    predicted, true = _array(predictions, "predictions"), _array(references, "references")
    _expect_same_shape(predicted, true)
    if true.ndim != 2:
        raise UserError(f"references: expected 0 or 1 for each label of each row, got shape {list(true.shape)}")
    for array, name in ((predicted, "predictions"), (true, "references")):
        _refuse((array != 0) & (array != 1), array, name, "0 or 1 for each label (scores > threshold)")
    return predicted.astype(int), true.astype(int)


def texts(predictions: Any, references: Any) -> tuple[list[str], list[list[str]]]:
    """Return the predicted text of each row, and all of its true texts.

    Args:
        predictions: Texts.
        references: A text for each of them, or several that are equally right.
    """
    predicted = list(predictions)
    true = [[right] if isinstance(right, str) else list(right) for right in references]
    _expect_same_length(predicted, true)
    for row, (text, right) in enumerate(zip(predicted, true)):
        for name, given in (("predictions", [text]), ("references", right)):
            if not given or not all(isinstance(item, str) for item in given):
                raise UserError(f"{name}: expected a text in row {row}, got {(given or [None])[0]!r}")
    return predicted, true


def tag_rows(predictions: Any, references: Any) -> tuple[list[list[str]], list[list[str]]]:
    """Return the predicted and the true tags of rows of words; rows may differ in length."""
    predicted, true = ([list(row) for row in rows] for rows in (predictions, references))
    _expect_same_length(predicted, true)
    for row, (ours, theirs) in enumerate(zip(predicted, true)):
        if len(ours) != len(theirs):
            raise UserError(f"predictions: {len(ours)} tags in row {row}, where references have {len(theirs)}")
    for name, rows in (("predictions", predicted), ("references", true)):
        wrong = next((tag for row in rows for tag in row if not isinstance(tag, str)), None)
        if wrong is not None:
            raise UserError(f"{name}: expected names, got {wrong!r}")
    return predicted, true


def token_values(predictions: Any, references: Any) -> np.ndarray:
    """Return one number for each token that counts. `[tokens]`

    Args:
        predictions: Numbers, such as log-likelihoods. `[rows, tokens]`; rows may differ in length.
        references: The tokens that they are for, -100 where there is none. As `predictions`.
    """
    values, true = (
        _array(np.concatenate([np.zeros(0), *map(np.ravel, rows)]), name)
        for rows, name in ((predictions, "predictions"), (references, "references"))
    )
    _expect_same_shape(values, true)
    values = values[_kept(true)]
    _refuse(~np.isfinite(values), values, "predictions", "a number")
    return values


def _holds_names(values: Iterable) -> bool:
    items = (item for row in values for item in (row if np.iterable(row) and not isinstance(row, str) else [row]))
    return isinstance(next(items, None), str)


def _flat_names(predictions: Any, references: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(references[0], str):
        predictions, references = ([[name] for name in names] for names in (predictions, references))
    predicted, true = (np.array([name for row in rows for name in row]) for rows in tag_rows(predictions, references))
    return predicted, true


def _array(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:
        raise UserError(f"{name}: expected numbers in rows of one length, got rows of several") from None
    if array.size == 0:
        raise UserError(f"{name}: empty, there is nothing to score")
    if array.dtype.kind not in "biuf":
        raise UserError(f"{name}: expected numbers, got {array.flat[0]!r}")
    return array


def _kept(true: np.ndarray) -> np.ndarray:
    kept = true != IGNORED
    if not kept.any():
        raise UserError(f"references: every label is {IGNORED}, there is nothing to score")
    return kept


def _expect_same_shape(predicted: np.ndarray, true: np.ndarray) -> None:
    if predicted.shape != true.shape:
        raise UserError(f"predictions: shape {list(predicted.shape)}, where references have {list(true.shape)}")


def _expect_same_length(predicted: Sequence, true: Sequence) -> None:
    if not true:
        raise UserError("references: empty, there is nothing to score")
    if len(predicted) != len(true):
        raise UserError(f"predictions: {len(predicted)} rows, where references have {len(true)}")


def _refuse(wrong: np.ndarray, array: np.ndarray, name: str, expected: str) -> None:
    """Refuse the values that are marked as wrong, with the first of them and its row."""
    if wrong.any():
        row, first, count = int(np.argwhere(wrong)[0][0]), array[wrong][0], int(wrong.sum())
        raise UserError(f"{name}: expected {expected}, got {first:g} in row {row} ({count} such of {wrong.size})")
