"""Rows to learn from: the training and the validation side of a table, every row looked at before any is used."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_strategies.data.cache import digest
from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.records import (
    TABLE_READERS,
    Broken,
    check_column,
    decoded_lines,
    format_suffix,
    naming,
    read_records,
)
from hf_strategies.data.sources import DataSource, load_splits, matching_files
from hf_strategies.data.split import is_validation
from hf_strategies.errors import UserError
from hf_strategies.randomness import shuffled_indices

Row = Mapping[str, Any]

VALIDATION_SPLITS = ("validation", "validation_matched", "dev", "test")  # the first that a data set has


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What a task asks of a row.

    Args:
        names: Columns that every row must have; the text before the label, where a file has no columns but lines.
        problem: Says what is wrong with a row, in a few words; nothing where it is good.
        key: The content by which a row is held out or not: copies of it stay on one side.
    """

    names: tuple[str, ...]
    problem: Callable[[Row], str]
    key: Callable[[Row], str]


@dataclass(frozen=True)
class Sides:
    """Rows to train on and rows to validate on.

    Args:
        train: To train on.
        validation: To validate on.
        held_out: Where the validation rows come from, in words.
        broken: Lines about rows that were skipped, or nothing.
        identity: Digest of all that is in them.
    """

    train: Sequence[Row]
    validation: Sequence[Row]
    held_out: str
    broken: str
    identity: str


def read_sides(
    train: DataSource,
    validation: DataSource | None,
    columns: Columns,
    *,
    validation_share: float,
    max_broken_share: float,
    max_train_rows: int | None = None,
    max_eval_rows: int | None = None,
    seed: int = 0,
) -> Sides:
    """Read the rows that were named.

    Args:
        train: What to train on, and what to split where nothing is named for validation and it has no such split.
        validation: What to validate on.
        columns: What every row must have.
        validation_share: Share of rows held out, by the hash of their content, in (0, 1).
        max_broken_share: Largest share of rows that is skipped over, in [0, 1].
        max_train_rows: Train on a random choice of so many.
        max_eval_rows: Validate on a random choice of so many.
        seed: Of those choices.

    Raises:
        UserError: A source does not exist, lacks a column, or is broken beyond the share; a side is left without rows.
    """
    broken = BrokenRecords(max_broken_share)
    found, own_validation = _read(train, columns, broken)
    if validation is not None:
        held: Sequence[Row] = _read(validation, columns, broken)[0]
        held_out = ", ".join(validation.files)
    elif own_validation is not None:
        split, held = own_validation
        held_out = f"split {split}"
    else:
        held = [row for row in found if is_validation(columns.key(row), validation_share)]
        found = [row for row in found if not is_validation(columns.key(row), validation_share)]
        held_out = f"{validation_share:.0%} of the rows, by hash"
    broken.check()
    trained_on, held = choose(found, max_train_rows, seed), choose(held, max_eval_rows, seed)
    for side, rows in (("train", trained_on), ("validate", held)):
        if not rows:
            raise UserError(f"no rows are left to {side} on: {broken.summary() or 'the data are empty'}")
    identity = digest(columns.key(row) for rows in (trained_on, held) for row in rows)
    return Sides(trained_on, held, held_out, broken.summary(), identity)


def choose(rows: Sequence[Row], count: int | None, seed: int) -> Sequence[Row]:
    """Choose `count` rows at random, in the order in which they stand; a file may be sorted by its labels."""
    if count is None or count >= len(rows):
        return rows
    places = np.sort(shuffled_indices(np.arange(count), len(rows), seed=seed, epoch=0))
    return [rows[place] for place in places.tolist()]


def _read(
    source: DataSource, columns: Columns, broken: BrokenRecords
) -> tuple[list[Row], tuple[str, list[Row]] | None]:
    """Read a source's training rows, and a data set's own validation rows with the name of their split."""
    if source.dataset_name is None:
        files = dict.fromkeys(path for pattern in source.files for path in matching_files(pattern))
        return [row for path in files for row in _good(_file_rows(path, columns), str(path), columns, broken)], None
    splits = load_splits(source)
    if "train" not in splits:
        raise UserError(f"{source.dataset_name}: no split 'train' (splits: {', '.join(map(str, splits))})")

    def rows_of(split: str) -> list[Row]:
        for column in columns.names:
            check_column(f"{source.dataset_name}, split {split}", column, splits[split].column_names)
        rows = enumerate(splits[split].select_columns(list(columns.names)), start=1)
        return list(_good(rows, f"{source.dataset_name}, split {split}", columns, broken))

    own = next((split for split in VALIDATION_SPLITS if split in splits), None)
    return rows_of("train"), None if own is None else (own, rows_of(own))


def _file_rows(path: Path, columns: Columns) -> Iterator[tuple[int, Row | Broken]]:
    """Yield a file's rows; one that is no table has a label and a text in each line."""
    if format_suffix(path) in TABLE_READERS or len(columns.names) != 2:
        yield from read_records(path, columns.names)
        return
    with naming(path):
        for row, line in decoded_lines(path):
            if isinstance(line, Broken):
                yield row, line
            elif line.strip():
                label, _, text = line.strip().partition(" ")
                yield row, dict(zip(columns.names, (text, label), strict=True))


def _good(
    rows: Iterator[tuple[int, Row | Broken]], source: str, columns: Columns, broken: BrokenRecords
) -> Iterator[Row]:
    for number, row in rows:
        reason = row.reason if isinstance(row, Broken) else columns.problem(row)
        if reason:
            broken.broken(source, number, reason)
        else:
            assert not isinstance(row, Broken)
            broken.good()
            yield {name: row[name] for name in columns.names}
