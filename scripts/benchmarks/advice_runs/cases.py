"""Data on which it is known what to train."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..tuning_runs.data import Rows, sides
from ..tuning_runs.ingredients import data_at

STEPS, APART = 64, 32  # of a sequence, and between its two marks
ORDERED, WORDED = 2_000, 2_000  # rows of the two made data sets


@dataclass(frozen=True, kw_only=True)
class Case:
    """Data, and what is known of them.

    Args:
        known: Contenders that it is right to train; several where their speed here decides.
        flags: Writes files into a folder, and returns the flags of scripts/advise.py for them.
    """

    known: tuple[str, ...]
    flags: Callable[[Path], list[str]]


def questions(folder: Path) -> list[str]:
    """Return TREC: 5,452 questions by what they ask for, and the 500 that they are judged by."""
    train, test = sides("TREC")
    return [
        *("--train_file", _json_lines(folder / "train.jsonl", train)),
        *("--validation_file", _json_lines(folder / "test.jsonl", test)),
    ]


def news(folder: Path) -> list[str]:
    """Return AG News: headlines of four kinds, a tenth of them to judge by."""
    with data_at("ag_news/ag_news_7600.csv").open(encoding="utf-8", newline="") as file:
        rows = [{"text": ". ".join(row[1:]), "label": row[0]} for row in csv.reader(file) if row[0].isdigit()]
    return ["--train_file", _json_lines(folder / "news.jsonl", rows), "--validation_share", "0.1"]


def digits(_folder: Path) -> list[str]:
    """Return scikit-learn's handwritten digits."""
    return ["--task", "image-classification"]


def order(folder: Path) -> list[str]:
    """Write sequences of 64 steps with two marks, 32 steps apart and of opposite signs: the first's is the class.

    The mean, deviation, extremes and ends of a row say nothing of it, and neither does any single step.
    """
    chance = np.random.default_rng(0)
    values, classes = 0.1 * chance.normal(size=(ORDERED, STEPS)), np.arange(ORDERED) % 2
    for row, sign, first in zip(values, 2 * classes - 1, chance.integers(1, STEPS - APART - 1, ORDERED)):
        row[first], row[first + APART] = 3 * sign, -3 * sign
    np.savez(folder / "order.npz", sequences=values, labels=classes)
    return ["--train_file", str(folder / "order.npz"), "--validation_share", "0.2"]


def words(folder: Path) -> list[str]:
    """Write texts in which two words of weather tell the class, at any places among others."""
    chance = np.random.default_rng(0)
    others, rows = [f"word{number}" for number in range(200)], []
    for number in range(WORDED):
        told = ["sunny", "mild"] if number % 2 else ["rainy", "cold"]
        text = chance.permutation([*chance.choice(others, 20), *told])
        rows.append({"text": " ".join(text), "label": "fair" if number % 2 else "foul"})
    return ["--train_file", _json_lines(folder / "words.jsonl", rows), "--validation_share", "0.2"]


CASES = {
    "TREC": Case(known=("linear", "lstm"), flags=questions),
    "AG News": Case(known=("linear",), flags=news),
    "digits": Case(known=("linear", "convolution"), flags=digits),
    "order": Case(known=("gru", "transformer"), flags=order),
    "words": Case(known=("linear",), flags=words),
}


def _json_lines(path: Path, rows: Rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)
