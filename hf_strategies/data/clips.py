"""Labelled clips: arrays in a `.npz` file, `clips` `[n, channels, frames, height, width]` and `labels` `[n]`."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.file_patterns import matching_files
from hf_strategies.data.labelled import Row, Sides, split_sides
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError, did_you_mean, first_line

CLIPS, LABELS = "clips", "labels"
MAX_PIXEL = 255  # of a byte
SHAPE = "[n, channels, frames, height, width]"


def read_clip_sides(
    train: DataSource,
    validation: DataSource | None,
    *,
    problem: Callable[[Any], str],
    classes: Callable[[Sequence[Any]], Sequence[str | None]],
    max_broken_share: float,
    **limits: Any,
) -> Sides:
    """Read the clips that were named.

    Args:
        train: Files to train on.
        validation: Files to validate on; None holds a share of the others out.
        problem: Says what is wrong with a label, in a few words; nothing where it is good.
        classes: Names the classes of labels, of each of which some clips are held out.
        max_broken_share: As of `labelled.read_sides`, like all the others.

    Returns:
        Rows of `clip` `[channels, frames, height, width]` and `label`. Clips of fractions are of the file's own type,
        those of whole numbers pixels, uint8 or uint16.

    Raises:
        UserError: No file was named; a file is no such archive, its arrays do not fit each other or hold whole numbers
            that are no pixels, or clips differ in shape from file to file; too many hold values that are not finite.
    """
    if not train.files:
        raise UserError("clips come from files: name train_file, a .npz with clips and labels")
    broken = BrokenRecords(max_broken_share)
    found = _read(train, problem, broken)
    own = None if validation is None else (", ".join(validation.files), _read(validation, problem, broken))
    shapes = {row["clip"].shape for row in [*found, *(own[1] if own else [])]}
    if len(shapes) > 1:
        shown = ", ".join(map(str, sorted(shapes)[:3]))
        raise UserError(f"clips must all have one shape [channels, frames, height, width], got {shown}")

    def classes_of(rows: Sequence[Row]) -> Sequence[str | None]:
        return classes([row["label"] for row in rows])

    return split_sides(found, own, broken, key=content_of, classes=classes_of, **limits)


def content_of(row: Row) -> str:
    """Return a digest of a clip's values."""
    return hashlib.blake2b(np.ascontiguousarray(row["clip"]).tobytes(), digest_size=16).hexdigest()


def _read(source: DataSource, problem: Callable[[Any], str], broken: BrokenRecords) -> list[Row]:
    rows: list[Row] = []
    for path in (path for pattern in source.files for path in matching_files(pattern)):
        clips, labels = _arrays(path)
        for number, (clip, label) in enumerate(zip(clips, labels), start=1):
            if clip.dtype.kind == "f" and not np.isfinite(clip).all():
                broken.broken(str(path), number, "holds values that are not finite")
            elif reason := problem(label.item()):
                broken.broken(str(path), number, reason)
            else:
                broken.good()
                rows.append({"clip": clip, "label": label.item()})
    return rows


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Load both arrays of a file, and see that they are what they should be."""
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path}: expected a .npz archive of two arrays ({CLIPS}, {LABELS}), got another file, or a cut one"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in (CLIPS, LABELS):
                if name not in archive.files:
                    guess = did_you_mean(name, archive.files)
                    raise UserError(f"{path}: no array {name!r}{guess} (arrays: {', '.join(archive.files) or 'none'})")
            clips, labels = archive[CLIPS], archive[LABELS]
    except UserError:
        raise
    except ValueError as error:  # numpy's words are advice on pickles
        raise UserError(f"{path}: {CLIPS} and {LABELS} must be arrays of numbers, and are not, or damaged") from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: no .npz archive of numbers: {first_line(error)}") from error
    if clips.ndim != 5 or 0 in clips.shape:
        raise UserError(f"{path}: {CLIPS} must be {SHAPE}, none of them 0, got {list(clips.shape)}")
    if clips.dtype.kind not in "uif":
        raise UserError(f"{path}: {CLIPS} must be numbers, got {clips.dtype}")
    if labels.shape != clips.shape[:1]:
        raise UserError(f"{path}: {len(clips)} clips need as many labels, got {list(labels.shape)}")
    return _as_pixels(path, clips), labels


def _as_pixels(path: Path, clips: np.ndarray) -> np.ndarray:
    """Bring whole numbers of a type that says nothing of their range, such as numpy's usual one, to bytes."""
    if clips.dtype.kind == "f" or clips.dtype in (np.uint8, np.uint16):
        return clips
    lowest, highest = clips.min(), clips.max()
    if lowest < 0 or highest > MAX_PIXEL:
        raise UserError(
            f"{path}: {CLIPS} of type {clips.dtype} must be pixels from 0 to {MAX_PIXEL}, got {lowest} to {highest}: "
            "save pixels of 16 bits as uint16, other numbers as float32"
        )
    return clips.astype(np.uint8)
