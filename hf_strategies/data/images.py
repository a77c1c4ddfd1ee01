"""Labelled images: folders of classes, zip archives of them, parquet and data sets with images, or embedded digits."""

import hashlib
import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.labelled import Row, Sides, named_classes, split_sides
from hf_strategies.data.records import Broken, check_column, format_suffix
from hf_strategies.data.sources import DataSource, load_splits, matching_files
from hf_strategies.errors import UserError, first_line

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
TRAINING_FOLDERS = ("train", "training")
VALIDATION_FOLDERS = ("validation", "valid", "val", "dev", "test")
_Read = tuple[str | None, str, int, Row | Broken]  # side, place, number, image

DECODERS = 4  # threads; Pillow leaves the interpreter's lock alone while it decodes


class FoundImage(NamedTuple):
    """An image that was found: where, of which side and class, and how its bytes are read."""

    place: str
    side: str | None
    label: str
    read: Callable[[], bytes]


def images_at(path: Path) -> Iterator[FoundImage]:
    """Find the images in a folder or a zip archive, in the order of their names.

    The folder that an image lies in is its class; one above it may say its side: train, or validation, val, test.

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
    if not images:
        raise UserError(f"{path}: holds no images ({', '.join(SUFFIXES)})")
    for name, read in images.items():
        *folders, _ = PurePosixPath(name).parts
        side = next((_side_of(folder) for folder in folders if _side_of(folder)), None)
        if not folders or _side_of(folders[-1]):
            raise UserError(f"{path}: {name} lies in no folder of a class: expected class/name, or train/class/name")
        yield FoundImage(f"{path}/{name}", side, folders[-1], read)


def decode(encoded: bytes, *, size: int | None, num_channels: int | None) -> np.ndarray:
    """Decode an image.

    Args:
        encoded: A file of a format that Pillow reads.
        size: Height and width to bring it to; None leaves them.
        num_channels: 1 for grey, 3 for colours; None keeps grey images grey.

    Returns:
        `[channels, height, width]`, uint8.

    Raises:
        OSError: It is damaged, or cut off.
    """
    from PIL import Image

    with Image.open(io.BytesIO(encoded)) as image:
        mode = {1: "L", 3: "RGB", None: "L" if image.mode in ("L", "1", "I;16") else "RGB"}[num_channels]
        pixels = image.convert(mode)
    if size is not None and pixels.size != (size, size):
        pixels = pixels.resize((size, size), Image.Resampling.BILINEAR)
    array = np.array(pixels)  # a copy: what Pillow lends may not be written to, which torch warns of
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def read_image_sides(
    train: DataSource,
    validation: DataSource | None,
    *,
    columns: tuple[str, str],
    problem: Callable[[Any], str],
    classes: Callable[[Sequence[Any]], Sequence[str | None]],
    size: int | None,
    num_channels: int | None,
    validation_share: float,
    max_broken_share: float,
    max_train_rows: int | None = None,
    max_eval_rows: int | None = None,
    seed: int = 0,
) -> Sides:
    """Read and decode the images that were named; all of them are held in memory, as bytes.

    Args:
        train: Folders, zip archives, parquet files or a data set; nothing named means scikit-learn's digits.
        validation: The same, to validate on; None takes the side of that name where there is one.
        columns: Of the image and of the label, in a data set or parquet.
        problem: Says what is wrong with a label, in a few words; nothing where it is good.
        classes: Names the classes of labels, of each of which some images are held out.
        size: As of `decode`, like `num_channels`.
        num_channels: 1 for grey, 3 for colours; None takes grey where all images are.
        validation_share: As of `labelled.read_sides`, like all that follow.

    Returns:
        Rows of `image` `[channels, height, width]`, uint8, and `label`.

    Raises:
        UserError: A place is missing or holds no images, or too many of them are broken; their sizes differ, and no
            size was asked for.
    """
    broken = BrokenRecords(max_broken_share)
    sides = _good(_read_images(train, columns, size, num_channels), problem, broken)
    if validation is not None:
        held = _good(_read_images(validation, columns, size, num_channels), problem, broken)
        own_validation = (", ".join(validation.files), [row for rows in held.values() for row in rows])
    elif sides["validation"]:
        own_validation = ("their own folder, or split", sides["validation"])
    else:
        own_validation = None
    found = sides["train"] + sides["unsaid"]
    _agree_on_shape([*found, *(own_validation[1] if own_validation else ())])
    return split_sides(
        found,
        own_validation,
        broken,
        key=content_of,
        classes=lambda rows: classes([row["label"] for row in rows]),
        validation_share=validation_share,
        max_train_rows=max_train_rows,
        max_eval_rows=max_eval_rows,
        seed=seed,
    )


def _good(images: Iterable[_Read], problem: Callable[[Any], str], broken: BrokenRecords) -> dict[str, list[Row]]:
    """Sort images by their side, and count those that are none."""
    sides: dict[str, list[Row]] = {"train": [], "validation": [], "unsaid": []}
    for side, place, number, row in images:
        if isinstance(row, Broken):
            broken.broken(place, number, row.reason)
        elif reason := problem(row["label"]):
            broken.broken(place, number, reason)
        else:
            broken.good()
            sides[side or "unsaid"].append(row)
    return sides


def _agree_on_shape(rows: Sequence[Row]) -> None:
    """Give grey images among coloured ones three channels, in place, and refuse sizes that differ."""
    shapes = Counter(row["image"].shape for row in rows)
    sizes = Counter(shape[1:] for shape in shapes.elements())
    if len(sizes) > 1:
        shown = ", ".join(f"{height} x {width}" for (height, width), _ in sizes.most_common(3))
        raise UserError(f"the images have {len(sizes)} sizes ({shown}, ...): set image_size to bring them to one")
    channels = max((shape[0] for shape in shapes), default=1)
    for row in rows:
        if row["image"].shape[0] < channels:
            row["image"] = np.repeat(row["image"], channels, axis=0)  # type: ignore[index]


def _read_images(
    source: DataSource, columns: tuple[str, str], size: int | None, num_channels: int | None
) -> Iterator[_Read]:
    """Yield (side, place, row, image) of everything that a source names; the side is None where it says nothing."""
    shape = partial(_decoded, size=size, num_channels=num_channels)
    if source.dataset_name is None and not source.files:
        yield from _digits(shape)
        return
    for path in _places(source.files):
        if format_suffix(path) == ".parquet":
            yield from _table_images(path, *columns, shape)
            continue
        found = list(images_at(path))
        with ThreadPoolExecutor(DECODERS) as pool:
            rows = pool.map(lambda image: shape(image.read, image.label), found)
            for number, (image, row) in enumerate(zip(found, rows), start=1):
                yield image.side, image.place, number, row
    if source.dataset_name is not None:
        yield from _dataset_images(source, *columns, shape)


def content_of(row: Row) -> str:
    """Return a digest of an image's pixels."""
    return hashlib.blake2b(row["image"].tobytes(), digest_size=16).hexdigest()


def _side_of(folder: str) -> str | None:
    name = folder.lower()
    return "train" if name in TRAINING_FOLDERS else "validation" if name in VALIDATION_FOLDERS else None


def _decoded(read: Callable[[], bytes], label: str, *, size: int | None, num_channels: int | None) -> Row | Broken:
    try:
        return {"image": decode(read(), size=size, num_channels=num_channels), "label": label}
    except Exception as error:  # what Pillow's readers and zip archives raise is of every kind
        return Broken(f"no image: {first_line(error)}")


def _places(patterns: Iterable[str]) -> Iterator[Path]:
    """Yield what paths and globs name; a folder stays one place."""
    for pattern in patterns:
        path = Path(pattern).expanduser()
        yield from [path] if path.exists() else matching_files(pattern)


def _dataset_images(
    source: DataSource, image_column: str, label_column: str, shape: Callable[..., Row | Broken]
) -> Iterator[_Read]:
    """Yield the images of a data set of the host library."""
    for split, rows in load_splits(source).items():
        side = _side_of(split)
        if side is not None:
            name = f"{source.dataset_name}, split {split}"
            for number, row in _encoded_images(name, rows, image_column, label_column, shape):
                yield side, name, number, row


def _table_images(
    path: Path, image_column: str, label_column: str, shape: Callable[..., Row | Broken]
) -> Iterator[_Read]:
    """Yield the images of a parquet file as the host library writes it, or whose image column holds their bytes."""
    from datasets import Dataset
    from datasets.table import InMemoryTable
    from pyarrow import ArrowException, parquet

    try:
        rows = Dataset(InMemoryTable(parquet.read_table(path)))
    except (ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read as parquet: {first_line(error)}") from error
    for number, row in _encoded_images(str(path), rows, image_column, label_column, shape):
        yield None, str(path), number, row


def _encoded_images(
    name: str, rows: Any, image_column: str, label_column: str, shape: Callable[..., Row | Broken]
) -> Iterator[tuple[int, Row | Broken]]:
    """Yield the images of a table of the host library, whose image column holds encoded ones."""
    from datasets import Image

    for column in (image_column, label_column):
        check_column(name, column, rows.column_names)
    try:
        encoded = rows.select_columns([image_column, label_column]).cast_column(image_column, Image(decode=False))
        encoded[:1]
    except (TypeError, ValueError, NotImplementedError) as error:  # Arrow's are of these kinds
        kind = rows.features[image_column]
        raise UserError(f"{name}: column {image_column!r} must hold encoded images, got {kind}") from error
    for number, row in enumerate(named_classes(encoded), start=1):
        stored = row[image_column] or {}
        if stored.get("bytes") is None and not stored.get("path"):
            yield number, Broken("no image")
        else:
            yield number, shape(partial(_stored_bytes, stored), row[label_column])


def _stored_bytes(stored: Mapping[str, Any]) -> bytes:
    return stored["bytes"] if stored["bytes"] is not None else Path(stored["path"]).read_bytes()


def _digits(shape: Callable[..., Row | Broken]) -> Iterator[_Read]:
    """Yield scikit-learn's handwritten digits: 1,797 images of 8 x 8 in 17 shades of grey."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target), start=1):
        encoded = io.BytesIO()
        Image.fromarray((pixels * (255 / 16)).round().astype(np.uint8)).save(encoded, format="png")
        yield None, "load_digits", number, shape(encoded.getvalue, str(label))
