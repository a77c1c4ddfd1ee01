"""Contenders that need no network: the commonest class, and a logistic regression on plain features."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hf_strategies.data.labelled import Row
from hf_strategies.planning.problem import Problem, Trained, rows_of

WIDEST = 32  # pixels of an image's side that a regression is given
WORDS = r"(?u)\b\w+\b|[^\w\s]"
TEXT_STRENGTH, NUMBER_STRENGTH = 10.0, 0.1  # inverse of the penalty, on TF-IDF and on standardised numbers


def majority(problem: Problem, _name: str, places: Sequence[int], **_: Any) -> Trained:
    """Answer the commonest class."""
    commonest = np.bincount(problem.train[places]).argmax()
    return Trained(lambda _, asked: np.full(len(asked), commonest), 0)


def linear(problem: Problem, name: str, places: Sequence[int], **_: Any) -> Trained:
    """Fit a logistic regression: to words and pairs of words of texts, to numbers of all else."""
    classes = problem.train[places]
    if len(set(classes.tolist())) == 1:  # a small share of the rows may have no other
        return majority(problem, name, places)
    if problem.request.kind == "text":
        vectorizer: Any = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORDS)
        model = make_pipeline(vectorizer, LogisticRegression(C=TEXT_STRENGTH, max_iter=1000))
    else:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=NUMBER_STRENGTH, max_iter=1000))

    def features(side: str, asked: Sequence[int]) -> Any:
        rows = rows_of(problem, side)
        return [_features(problem, rows[place]) for place in asked]

    model.fit(features("train", places), classes)
    parameters = model[-1].coef_.size + model[-1].intercept_.size
    return Trained(lambda side, asked: model.predict(features(side, asked)), parameters)


def _features(problem: Problem, row: Row) -> Any:
    """Make of a row what a regression reads: a text, or numbers."""
    if problem.request.kind == "text":
        assert problem.job is not None
        return " ".join(row[field] for field in problem.job.task.text_fields)
    if problem.request.kind == "image":
        return thinned(row["image"]).astype(np.float64).ravel()
    if problem.request.kind == "clip":
        clip = thinned(row["clip"]).astype(np.float64)
        return np.concatenate([clip.mean(axis=1).ravel(), clip.std(axis=1).ravel()])
    steps = row["sequence"].astype(np.float64)
    moves = np.abs(np.diff(steps, axis=0)).mean(axis=0) if len(steps) > 1 else np.zeros(steps.shape[1])
    shape = [steps.mean(0), steps.std(0), steps.min(0), steps.max(0), steps[0], steps[-1], moves]
    return np.concatenate(shape)


def thinned(pixels: np.ndarray, widest: int = WIDEST) -> np.ndarray:
    """Leave out rows and columns of pixels `[..., height, width]`, until no side is wider."""
    step = -(-max(pixels.shape[-2:]) // widest)
    return pixels[..., ::step, ::step]
