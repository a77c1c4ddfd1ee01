"""Rows to learn from: the training and the validation side of a table, every row looked at before any is used."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_strategies.data.cache import digest
from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.file_patterns import matching_files
from hf_strategies.data.records import Broken, check_column, columns_of, decoded_lines, is_table, naming, read_records
from hf_strategies.data.sources import DataSource, load_splits
from hf_strategies.data.split import hold_out
from hf_strategies.errors import UserError
from hf_strategies.randomness import shuffled_indices

Row = Mapping[str, Any]

TRAIN = "train"
VALIDATION_SPLITS = ("validation", "validation_matched", "valid", "val", "dev", "test")  # the first that there is


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What a task asks of a row.

    Args:
        names: Columns that every row must have, in one or more ways: the first that a source has is taken. A file that
            has no columns but lines is read for two of them, a text and its label.
        problem: Says what is wrong with a row, in a few words; nothing where it is good.
        key: The content by which a row is held out or not: copies of it stay on one side.
        classes: Names the class of each row, or None of a row that has not just one, where rows are held out of every
            class.
    """

    names: tuple[tuple[str, ...], ...]
    problem: Callable[[Row], str]
    key: Callable[[Row], str]
    classes: Callable[[Sequence[Row]], Sequence[str | None]] | None = None

    def among(self, found: Sequence[str], source: str) -> list[str]:
        """Choose the columns of a source.

        Raises:
            UserError: It lacks some, in every way.
        """
        for names in self.names:
            if set(names) <= set(found):
                return list(names)
        if len(self.names) == 1:
            for name in self.names[0]:
                check_column(source, name, list(found))
        ways = "; or ".join(", ".join(names) for names in self.names)
        raise UserError(f"{source}: expected the columns {ways}; got {', '.join(found) or 'none'}")


@dataclass(frozen=True)
class Sides:
    """Rows to train on and rows to validate on.

    Args:
        train: To train on.
        validation: To validate on.
        held_out: Where the validation rows come from, in words.
        broken: Lines about rows that were skipped, or nothing.
        identity: Digest of all that is in them.
        validation_identity: Digest of the validation rows alone: scores on rows of one digest can be compared.
    """

    train: Sequence[Row]
    validation: Sequence[Row]
    held_out: str
    broken: str
    identity: str
    validation_identity: str


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
    found, own_validation = _read(train, columns, broken, own=validation is None)
    if validation is not None:
        own_validation = (", ".join(validation.files), _read(validation, columns, broken, own=False)[0])
    return split_sides(
        found,
        own_validation,
        broken,
        key=columns.key,
        classes=columns.classes,
        validation_share=validation_share,
        max_train_rows=max_train_rows,
        max_eval_rows=max_eval_rows,
        seed=seed,
    )


def split_sides(
    found: Sequence[Row],
    own_validation: tuple[str, Sequence[Row]] | None,
    broken: BrokenRecords,
    *,
    key: Callable[[Row], str],
    classes: Callable[[Sequence[Row]], Sequence[str | None]] | None,
    validation_share: float,
    max_train_rows: int | None,
    max_eval_rows: int | None,
    seed: int,
) -> Sides:
    """Hold rows out where there are none to validate on, and choose as many of both sides as are wanted.

    Args:
        found: Rows to train on.
        own_validation: Where rows to validate on come from, and those rows; None holds out a share of `found`.
        broken: What was skipped.
        key: As of `Columns`, like `classes`.
        validation_share: As of `read_sides`, like all that follow.

    Raises:
        UserError: A side is left without rows, or too many are broken.
    """
    broken.check()
    if own_validation is not None:
        held_out, held = own_validation
    else:
        contents = [key(row) for row in found]
        is_held = hold_out(contents, validation_share, [None] * len(found) if classes is None else classes(found))
        held_out = _share_in_words(is_held, validation_share)
        if found and len(set(is_held)) == 1:
            side, distinct = "train" if is_held[0] else "validate", len(set(contents))
            raise UserError(
                f"validation_share: {validation_share:g} leaves no rows to {side} on, of {len(found):,} with "
                f"{distinct:,} different content{'s' * (distinct > 1)} (copies stay together)"
            )
        held = [row for row, holds in zip(found, is_held) if holds]
        found = [row for row, holds in zip(found, is_held) if not holds]
    trained_on, held = choose(found, max_train_rows, seed), choose(held, max_eval_rows, seed)
    for side, rows in (("train", trained_on), ("validate", held)):
        if not rows:
            raise UserError(f"no rows are left to {side} on: {broken.summary() or 'the data are empty'}")

    def identity_of(*sides: Sequence[Row]) -> str:
        return digest(part for rows in sides for row in rows for part in (key(row), _written(row)))

    return Sides(trained_on, held, held_out, broken.summary(), identity_of(trained_on, held), identity_of(held))


def _share_in_words(is_held: Sequence[bool], asked: float) -> str:
    """Say which share of the rows is held out; few rows, copies and rare classes move it from the one asked for."""
    shares = [f"{share:.0%}" for share in (sum(is_held) / max(len(is_held), 1), asked)]
    return f"{shares[0]} of the rows, by hash" + (f"; {shares[1]} asked for" if shares[0] != shares[1] else "")


def _written(row: Row) -> str:
    """Write out what a row has besides pictures and clips, whose content its key is."""
    return "\x1f".join(str(value) for value in row.values() if not hasattr(value, "shape"))


def choose(rows: Sequence[Row], count: int | None, seed: int) -> Sequence[Row]:
    """Choose `count` rows at random, in the order in which they stand; a file may be sorted by its labels."""
    if count is None or count >= len(rows):
        return rows
    places = np.sort(shuffled_indices(np.arange(count), len(rows), seed=seed, epoch=0))
    return [rows[place] for place in places.tolist()]


def _read(
    source: DataSource, columns: Columns, broken: BrokenRecords, *, own: bool
) -> tuple[list[Row], tuple[str, list[Row]] | None]:
    """Read a source's training rows and, where asked for, a data set's own validation rows with their split's name."""
    if source.dataset_name is None:
        files = dict.fromkeys(path for pattern in source.files for path in matching_files(pattern))
        return [row for path in files for row in _file_rows(path, columns, broken)], None
    splits = load_splits(source)
    if TRAIN not in splits:
        raise UserError(f"{source.dataset_name}: no split {TRAIN!r} (splits: {', '.join(map(str, splits))})")

    def rows_of(split: str) -> list[Row]:
        source_name = f"{source.dataset_name}, split {split}"
        names = columns.among(splits[split].column_names, source_name)
        rows = enumerate(named_classes(splits[split].select_columns(names)), start=1)
        return list(_good(rows, source_name, names, columns, broken))

    split = choose_own_validation(splits, f"splits of {source.dataset_name}", broken, wanted=own)
    return rows_of(TRAIN), None if split is None else (f"split {split}", rows_of(split))


def choose_own_validation(
    names: Collection[str], what: str, broken: BrokenRecords, *, wanted: bool = True
) -> str | None:
    """Choose the side to validate on of those that a source has: one, so that another, a test set, is never seen.

    Args:
        names: Of the sides.
        what: They are, in words.
        broken: Is told which are left out.
        wanted: Whether one is to be chosen.

    Returns:
        The side's name; None where there is none, or none is wanted.
    """
    chosen = next((name for name in VALIDATION_SPLITS if name in names), None) if wanted else None
    if unused := sorted(set(names) - {TRAIN, chosen}):
        broken.leave_out(f"{what}: {', '.join(unused)}")
    return chosen


def _file_rows(path: Path, columns: Columns, broken: BrokenRecords) -> Iterator[Row]:
    if is_table(path) or len(columns.names[0]) != 2:
        names = columns.among(columns_of(path), str(path))
        return _good(read_records(path, names), str(path), names, columns, broken)
    return _good(_label_lines(path, columns.names[0]), str(path), columns.names[0], columns, broken)


def _label_lines(path: Path, names: Sequence[str]) -> Iterator[tuple[int, Row | Broken]]:
    """Yield the rows of a file that has a label and, behind a space, a text in each line."""
    with naming(path):
        for row, line in decoded_lines(path):
            if isinstance(line, Broken):
                yield row, line
            elif line.strip():
                label, _, text = line.strip().partition(" ")
                yield row, dict(zip(names, (text, label), strict=True))


def named_classes(split: Any) -> Iterator[Row]:
    """Yield a data set's rows, with classes by their names where the data set has names for them."""
    from datasets import ClassLabel, List

    classes = {name: kind for name, kind in split.features.items() if isinstance(kind, ClassLabel)}
    lists = {
        name: kind.feature
        for name, kind in split.features.items()
        if isinstance(kind, List) and isinstance(kind.feature, ClassLabel)
    }
    for row in split:
        for name, kind in classes.items():
            row[name] = None if row[name] is None or row[name] < 0 else kind.int2str(row[name])
        for name, kind in lists.items():
            row[name] = row[name] and kind.int2str(row[name])
        yield row


def _good(
    rows: Iterable[tuple[int, Row | Broken]],
    source: str,
    names: Sequence[str],
    columns: Columns,
    broken: BrokenRecords,
) -> Iterator[Row]:
    for number, row in rows:
        if isinstance(row, Broken):
            broken.broken(source, number, row.reason)
            continue
        wanted = {name: row[name] for name in names}
        if reason := columns.problem(wanted):
            broken.broken(source, number, reason)
        else:
            broken.good()
            yield wanted
