"""Images in folders of classes, and in zip archives of them."""

import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.labelled import TRAIN, VALIDATION_SPLITS
from hf_strategies.errors import UserError

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".apng", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif",
    ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
TRAINING_FOLDERS = (TRAIN, "training")


class FoundImage(NamedTuple):
    """An image that was found: where, of which side and class, and how its bytes are read."""

    place: str
    side: str
    label: str
    read: Callable[[], bytes]


def images_at(path: Path, broken: BrokenRecords) -> Iterator[FoundImage]:
    """Find the images in a folder or a zip archive, in the order of their names.

    The folder that an image lies in is its class; one above it may say its side: train, or validation, val, test.

    Args:
        path: The folder or archive.
        broken: Is told which files are no images.

    Raises:
        UserError: It is neither, or its images lie in no folders of classes.
    """
    if path.is_dir():
        files = {
            found.relative_to(path).as_posix(): found.read_bytes
            for found in sorted(path.rglob("*"))
            if found.is_file() and not any(part.startswith(".") for part in found.relative_to(path).parts)
        }
    elif zipfile.is_zipfile(path):
        archive = zipfile.ZipFile(path)  # stays open: its directory would be read again for each image
        names = sorted(name for name in archive.namelist() if not name.endswith("/"))
        files = {name: partial(archive.read, name) for name in names if not name.startswith("__MACOSX")}
    else:
        raise UserError(f"{path}: expected a folder of images, a zip archive of one, or parquet")
    images = {name: read for name, read in files.items() if PurePosixPath(name).suffix.lower() in SUFFIXES}
    others = Counter(PurePosixPath(name).suffix.lower() or "without suffix" for name in files if name not in images)
    listed = ", ".join(f"{count:,} {suffix}" for suffix, count in others.most_common())
    if not images:
        raise UserError(f"{path}: holds no images ({', '.join(SUFFIXES)}); its files: {listed or 'none'}")
    if others:
        broken.leave_out(f"files of {path} that are no images by their suffix: {listed}")
    for name, read in images.items():
        *folders, _ = PurePosixPath(name).parts
        side = next(filter(None, map(side_of, folders)), TRAIN)
        if not folders or side_of(folders[-1]):
            raise UserError(f"{path}: {name} lies in no folder of a class: expected class/name, or train/class/name")
        yield FoundImage(f"{path}/{name}", side, folders[-1], read)


def side_of(folder: str) -> str | None:
    """Return the side that a folder or split is named after; None where it is named after none."""
    name = folder.lower()
    return TRAIN if name in TRAINING_FOLDERS else name if name in VALIDATION_SPLITS else None
