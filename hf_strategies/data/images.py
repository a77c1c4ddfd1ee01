"""Labelled images: folders of classes, zip archives of them, parquet and data sets with images, or embedded digits."""

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.file_patterns import matching_files
from hf_strategies.data.image_folders import images_at, side_of
from hf_strategies.data.labelled import (
    TRAIN,
    Row,
    Sides,
    choose_own_validation,
    named_classes,
    split_sides,
)
from hf_strategies.data.pixels import decode
from hf_strategies.data.records import Broken, check_column, format_suffix
from hf_strategies.data.sources import DataSource, load_splits
from hf_strategies.errors import UserError, first_line

_Read = tuple[str, str, int, Row | Broken]  # side in words, place, number, image

DECODERS = 4  # threads; Pillow leaves the interpreter's lock alone while it decodes


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

    def read(source: DataSource, *, splits: bool) -> dict[str, list[Row]]:
        shape = partial(_decoded, size=size, num_channels=num_channels)
        return _good(_read_images(source, columns, shape, broken, splits=splits), problem, broken)

    sides = read(train, splits=validation is None)
    found = sides.pop(TRAIN, [])
    own_validation = None
    if validation is not None:
        held = read(validation, splits=True)
        own_validation = (", ".join(validation.files), [row for rows in held.values() for row in rows])
    elif sides:
        own_validation = (" and ".join(sides), [row for rows in sides.values() for row in rows])
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
    sides: dict[str, list[Row]] = {}
    for side, place, number, row in images:
        if isinstance(row, Broken):
            broken.broken(place, number, row.reason)
        elif reason := problem(row["label"]):
            broken.broken(place, number, reason)
        else:
            broken.good()
            sides.setdefault(side, []).append(row)
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
    source: DataSource,
    columns: tuple[str, str],
    shape: Callable[..., Row | Broken],
    broken: BrokenRecords,
    *,
    splits: bool,
) -> Iterator[_Read]:
    """Yield (side, place, row, image) of what a source names; what says nothing of its side is to train on.

    Of several sides to validate on only the first is read, and none without `splits`.
    """
    if source.dataset_name is None and not source.files:
        yield from _digits(shape)
        return
    for path in _places(source.files):
        if format_suffix(path) == ".parquet":
            yield from _table_images(path, *columns, shape)
            continue
        every = list(images_at(path, broken))
        own = choose_own_validation({image.side for image in every}, f"folders of {path}", broken, wanted=splits)
        found = [image for image in every if image.side in (TRAIN, own)]
        with ThreadPoolExecutor(DECODERS) as pool:
            rows = pool.map(lambda image: shape(image.read, image.label), found)
            for number, (image, row) in enumerate(zip(found, rows), start=1):
                yield TRAIN if image.side == TRAIN else f"folder {own}", image.place, number, row
    if source.dataset_name is not None:
        yield from _dataset_images(source, *columns, shape, broken, splits=splits)


def content_of(row: Row) -> str:
    """Return a digest of an image's pixels."""
    return hashlib.blake2b(row["image"].tobytes(), digest_size=16).hexdigest()


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
    source: DataSource,
    image_column: str,
    label_column: str,
    shape: Callable[..., Row | Broken],
    broken: BrokenRecords,
    *,
    splits: bool,
) -> Iterator[_Read]:
    """Yield the images of a data set of the host library."""
    tables = {(side_of(split) or split, split): rows for split, rows in load_splits(source).items()}
    own = choose_own_validation(
        {side for side, _ in tables}, f"splits of {source.dataset_name}", broken, wanted=splits
    )
    for (side, split), rows in tables.items():
        if side in (TRAIN, own):
            name = f"{source.dataset_name}, split {split}"
            for number, row in _encoded_images(name, rows, image_column, label_column, shape):
                yield TRAIN if side == TRAIN else f"split {split}", name, number, row


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
        yield TRAIN, str(path), number, row


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
        yield TRAIN, "load_digits", number, shape(encoded.getvalue, str(label))
