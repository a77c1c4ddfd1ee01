"""What is to be learned: rows of any kind, and their classes as numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hf_strategies.data.labelled import Row, Sides
from hf_strategies.data.number_sequences import read_sequence_sides
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError
from hf_strategies.planning.advice_request import AdviceRequest
from hf_strategies.runs.row_tokenizer import train_on_rows
from hf_strategies.runs.tuned_rows import Job, prepare
from hf_strategies.tasks import labels


@dataclass
class Problem:
    """Rows to learn from and rows to be judged by.

    Args:
        request: What was asked.
        sides: The rows.
        names: Of the classes.
        train, validation: Number of each row's class.
        job: The fine-tuning job on these rows; None of sequences, which have none.
        kept: What contenders make of all rows once, by their names.
    """

    request: AdviceRequest
    sides: Sides
    names: tuple[str, ...]
    train: np.ndarray
    validation: np.ndarray
    job: Job | None
    kept: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what `make` made when it was first asked for under this name."""
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]


@dataclass(frozen=True)
class Trained:
    """What a contender has learned.

    Args:
        answer: Gives the class of each row of a side, by the side ("train" or "validation") and the rows' places.
        parameters: That were learned.
        is_whole: Whether its time sufficed.
    """

    answer: Callable[[str, Sequence[int]], np.ndarray]
    parameters: int
    is_whole: bool = True


def read_problem(request: AdviceRequest) -> Problem:
    """Read the rows, and find their classes.

    Raises:
        UserError: There are no rows, or their labels are not one class each of two or more.
    """
    if request.kind == "sequence":
        return _read_sequences(request)
    job = prepare(request.base)
    if job.processor is None:
        job.processor = train_on_rows(request.base.model, job.task, job.sides.train)
    train, validation = (job.task.classes(side) for side in (job.sides.train, job.sides.validation))
    if train is None or validation is None:
        raise UserError("labels: expected one class for each row, got several or numbers with a fraction")
    names = tuple(job.task.config["id2label"].values())
    return Problem(request, job.sides, names, np.asarray(train), np.asarray(validation), job)


def _read_sequences(request: AdviceRequest) -> Problem:
    data = request.base.data
    sides = read_sequence_sides(
        DataSource(files=tuple(data.train_file or ())),
        DataSource(files=tuple(data.validation_file)) if data.validation_file else None,
        problem=labels.problem_of,
        classes=labels.classes_of,
        validation_share=data.validation_share,
        max_broken_share=data.max_broken_share,
        max_train_rows=data.max_train_samples,
        max_eval_rows=data.max_eval_samples,
        seed=0,
    )
    train, validation = ([row["label"] for row in rows] for rows in (sides.train, sides.validation))
    found = labels.find_labels(train, validation)
    numbers = [found.numbers(side) for side in (train, validation)]
    if numbers[0] is None or numbers[1] is None:
        raise UserError("labels: expected one class for each sequence, got numbers with a fraction")
    return Problem(request, sides, found.names, np.asarray(numbers[0]), np.asarray(numbers[1]), None)


def rows_of(problem: Problem, side: str) -> Sequence[Row]:
    """Return a side's rows."""
    return problem.sides.train if side == "train" else problem.sides.validation
