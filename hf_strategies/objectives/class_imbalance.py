"""Weights that make up for classes of different sizes: numbers for an objective's settings."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.objectives.items import IGNORED
from hf_strategies.ranges import AVERAGE


def inverse_frequency(counts: np.ndarray, _: float) -> np.ndarray:
    """One over the number of samples; what scikit-learn calls balanced."""
    return 1.0 / counts


def effective_number(counts: np.ndarray, beta: float) -> np.ndarray:
    """One over the number of samples that are no near copies of others (Cui et al. 2019, equation 2)."""
    return (1.0 - beta) / (1.0 - beta**counts)


SCHEMES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "inverse_frequency": inverse_frequency,
    "effective_number": effective_number,
}


def class_weights(
    labels: ArrayLike, scheme: str = "inverse_frequency", *, num_classes: int | None = None, beta: float = 0.999
) -> list[float]:
    """Weigh each class by how few samples it has.

    The weights are 1 on average over the samples, so that a loss keeps its size (Cui et al. have them sum to the
    number of classes, which differs by a factor). A class without samples has the weight 0.

    Args:
        labels: Numbers of classes, of samples or of tokens, from 0; -100 is left out. Any shape.
        scheme: "inverse_frequency", or "effective_number" (https://arxiv.org/abs/1901.05555), which is milder.
        num_classes: Classes that the model knows; None for as many as the labels show.
        beta: Of "effective_number", in [0, 1): 0 weighs all alike, towards 1 it becomes the inverse frequency.

    Raises:
        UserError: The scheme is unknown, `beta` is out of range, or a label is no class.
    """
    if scheme not in SCHEMES:
        known = ", ".join(SCHEMES)
        raise UserError(f"unknown scheme of class weights {scheme!r}{did_you_mean(scheme, SCHEMES)} (known: {known})")
    if not AVERAGE[0](beta):
        raise UserError(f"beta must be {AVERAGE[1]}, got {beta!r}")
    counts = _count(np.asarray(labels), num_classes)
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = SCHEMES[scheme](counts[present], beta)
    return (weights * counts.sum() / (weights * counts).sum()).tolist()


def positive_weights(labels: ArrayLike) -> list[float]:
    """Weigh a class's being there by how often it is not: both then count alike.

    Args:
        labels: 1 where a class is there, 0 where not, -100 where it is not known. `[samples, classes]`

    Returns:
        Samples without a class over those with it, `[classes]`; 1 where all are of one kind.
    """
    flags = np.asarray(labels)
    there, missing = (flags == 1).sum(axis=0), (flags == 0).sum(axis=0)
    mixed = (there > 0) & (missing > 0)
    return np.where(mixed, missing / np.maximum(there, 1), 1.0).tolist()


def _count(labels: np.ndarray, num_classes: int | None) -> np.ndarray:
    classes = labels[labels != IGNORED]
    if not classes.size or not np.issubdtype(classes.dtype, np.integer):
        raise UserError(f"class weights need labels that are numbers of classes, got {classes.size} {classes.dtype}")
    if classes.min() < 0 or (num_classes is not None and classes.max() >= num_classes):
        end = "" if num_classes is None else f" to {num_classes - 1}"
        raise UserError(f"labels must be classes from 0{end}, got {classes.min()} to {classes.max()}")
    return np.bincount(classes, minlength=num_classes or 0)
