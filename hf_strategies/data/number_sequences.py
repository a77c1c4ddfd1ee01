"""Labelled sequences of numbers: arrays in a `.npz` file, `sequences` `[n, steps, channels]` and `labels` `[n]`."""

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.file_patterns import matching_files
from hf_strategies.data.labelled import Row, Sides, split_sides
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError, first_line

SEQUENCES, LABELS = "sequences", "labels"


def read_sequence_sides(
    train: DataSource,
    validation: DataSource | None,
    *,
    problem: Callable[[Any], str],
    classes: Callable[[Sequence[Any]], Sequence[str | None]],
    max_broken_share: float,
    **limits: Any,
) -> Sides:
    """Read the sequences that were named.

    Args:
        train: Files to train on.
        validation: Files to validate on; None holds a share of the others out.
        problem: Says what is wrong with a label, in a few words; nothing where it is good.
        classes: Names the classes of labels, of each of which some sequences are held out.
        max_broken_share: As of `labelled.read_sides`, like all the others.

    Returns:
        Rows of `sequence` (float32, `[steps, channels]`) and `label`.

    Raises:
        UserError: A file is no such archive, its arrays do not fit each other, or sequences differ in shape from file
            to file; too many hold values that are not finite.
    """
    broken = BrokenRecords(max_broken_share)
    found = _read(train, problem, broken)
    own = None if validation is None else (", ".join(validation.files), _read(validation, problem, broken))
    shapes = {row["sequence"].shape for row in [*found, *(own[1] if own else [])]}
    if len(shapes) > 1:
        raise UserError(
            f"sequences must all have one shape [steps, channels], got {', '.join(map(str, sorted(shapes)))}"
        )
    return split_sides(
        found,
        own,
        broken,
        key=lambda row: hashlib.blake2b(row["sequence"].tobytes(), digest_size=16).hexdigest(),
        classes=lambda rows: classes([row["label"] for row in rows]),
        **limits,
    )


def _read(source: DataSource, problem: Callable[[Any], str], broken: BrokenRecords) -> list[Row]:
    rows: list[Row] = []
    for path in (path for pattern in source.files for path in matching_files(pattern)):
        for number, (sequence, label) in enumerate(zip(*_arrays(path)), start=1):
            if not np.isfinite(sequence).all():
                broken.broken(str(path), number, "holds values that are not finite")
            elif reason := problem(label.item()):
                broken.broken(str(path), number, reason)
            else:
                broken.good()
                rows.append({"sequence": sequence, "label": label.item()})
    return rows


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            sequences, labels = archive[SEQUENCES], archive[LABELS]
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: expected a .npz archive of two arrays ({SEQUENCES}, {LABELS}): {first_line(error)}"
        ) from error
    if sequences.ndim == 2:
        sequences = sequences[:, :, None]
    if sequences.ndim != 3 or 0 in sequences.shape or sequences.dtype.kind not in "uif":
        raise UserError(
            f"{path}: {SEQUENCES} must be numbers [n, steps] or [n, steps, channels], none of them 0, "
            f"got {sequences.dtype} {list(sequences.shape)}"
        )
    if labels.shape != sequences.shape[:1]:
        raise UserError(f"{path}: {len(sequences)} sequences need as many labels, got {list(labels.shape)}")
    return sequences.astype(np.float32), labels
