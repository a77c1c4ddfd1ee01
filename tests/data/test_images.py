import io
import zipfile

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features
from datasets import Image as ImageFeature
from PIL import Image

from hf_strategies.data.images import read_image_sides
from hf_strategies.data.pixels import decode
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError

SETTINGS = {
    "columns": ("image", "label"), "size": None, "num_channels": None, "validation_share": 0.25,
    "max_broken_share": 0.3, "problem": lambda label: "" if label is not None else "no label",
    "classes": lambda labels: [str(label) for label in labels],
}  # fmt: skip


def png(value, size=(6, 4), mode="RGB"):
    encoded = io.BytesIO()
    Image.new(mode, size, value).save(encoded, format="png")
    return encoded.getvalue()


def write_folder(root, *, sides=("train", "test"), broken=False):
    for side in sides:
        for label, value in (("cat", (10, 20, 30)), ("dog", (200, 100, 0))):
            folder = root / side / label
            folder.mkdir(parents=True)
            for number in range(3):
                (folder / f"{number}.png").write_bytes(png((*value[:2], value[2] + number)))
    if broken:
        (root / sides[0] / "cat" / "cut.png").write_bytes(png((1, 2, 3))[:40])
    return DataSource(files=(str(root),))


def test_an_image_becomes_channels_rows_columns():
    array = decode(png((10, 20, 30)), size=None, num_channels=None)
    assert array.shape == (3, 4, 6)
    assert array[:, 0, 0].tolist() == [10, 20, 30]
    assert decode(png(7, mode="L"), size=None, num_channels=None).shape == (1, 4, 6)
    assert decode(png(7, mode="L"), size=5, num_channels=3).shape == (3, 5, 5)
    assert decode(png(7, mode="L"), size=None, num_channels=None).flags.writeable  # torch warns of others


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bits_are_scaled_to_eight(order):
    """65,535 is white; 257 times an 8-bit grey is that grey."""
    encoded = io.BytesIO()
    Image.fromarray(np.array([[0, 257 * 100, 65535]], order)).save(encoded, format="tiff")
    assert decode(encoded.getvalue(), size=None, num_channels=None).tolist() == [[[0, 100, 255]]]
    assert decode(encoded.getvalue(), size=None, num_channels=3)[:, 0].tolist() == [[0, 100, 255]] * 3


@pytest.mark.parametrize("values", [np.array([[0.5]], np.float32), np.array([[70_000]], np.int32)])
def test_pixels_of_no_known_range_are_no_image(values):
    encoded = io.BytesIO()
    Image.fromarray(values).save(encoded, format="tiff")
    with pytest.raises(ValueError, match="in no known range"):
        decode(encoded.getvalue(), size=None, num_channels=None)


def test_an_image_stands_as_its_camera_was_held():
    """Orientation 6: the camera was turned to the right, so the stored left column is the upper row."""
    stored, exif, encoded = np.array([[10, 20, 30], [40, 50, 60]], np.uint8), Image.Exif(), io.BytesIO()
    exif[274] = 6
    Image.fromarray(stored).save(encoded, format="png", exif=exif)
    assert decode(encoded.getvalue(), size=None, num_channels=1).tolist() == [[[40, 10], [50, 20], [60, 30]]]


def test_of_several_sides_to_validate_on_the_first_is_taken_and_a_test_set_stays_unseen(tmp_path):
    source = write_folder(tmp_path, sides=("train", "val", "test"))
    sides = read_image_sides(source, None, **SETTINGS)
    assert (len(sides.train), len(sides.validation), sides.held_out) == (6, 6, "folder val")
    assert f"left out folders of {tmp_path}: test" in sides.broken
    named = read_image_sides(source, DataSource(files=(str(tmp_path / "test"),)), **SETTINGS)
    assert (len(named.train), len(named.validation)) == (6, 6)
    assert f"left out folders of {tmp_path}: test, val" in named.broken


def test_files_that_are_no_images_by_their_suffix_are_counted(tmp_path):
    source = write_folder(tmp_path)
    for name in ("a.heic", "b.HEIC", "list.txt"):
        (tmp_path / "train" / "cat" / name).write_bytes(b"")
    Image.new("RGB", (6, 4)).save(tmp_path / "train" / "cat" / "a.jfif", format="jpeg")
    sides = read_image_sides(source, None, **SETTINGS)
    assert len(sides.train) == 7
    assert f"left out files of {tmp_path} that are no images by their suffix: 2 .heic, 1 .txt" in sides.broken


def test_folders_name_sides_and_classes(tmp_path):
    sides = read_image_sides(write_folder(tmp_path), None, **SETTINGS)
    assert [row["label"] for row in sides.train] == ["cat"] * 3 + ["dog"] * 3
    assert len(sides.validation) == 6
    assert sides.held_out == "folder test"


def test_a_zip_archive_is_read_like_its_folder(tmp_path):
    source = write_folder(tmp_path / "images")
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in sorted((tmp_path / "images").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path / "images"))
    zipped = read_image_sides(DataSource(files=(str(tmp_path / "images.zip"),)), None, **SETTINGS)
    assert zipped.identity == read_image_sides(source, None, **SETTINGS).identity


def test_without_folders_of_sides_a_share_is_held_out(tmp_path):
    source = write_folder(tmp_path, sides=("",))
    sides = read_image_sides(source, None, **{**SETTINGS, "validation_share": 0.5})
    assert len(sides.train) + len(sides.validation) == 6
    assert sides.held_out == "33% of the rows, by hash; 50% asked for"


def test_an_image_that_is_cut_off_is_skipped_and_listed(tmp_path):
    sides = read_image_sides(write_folder(tmp_path, broken=True), None, **SETTINGS)
    assert len(sides.train) == 6
    assert "cut.png" in sides.broken
    assert "no image" in sides.broken


def test_a_data_set_keeps_its_splits_and_the_names_of_its_classes(tmp_path):
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["cat", "dog"])})
    rows = {"image": [{"bytes": png((n, 0, 0)), "path": None} for n in range(4)], "label": [0, 1, 1, 0]}
    split = Dataset.from_dict(rows, features=features)
    own = {"validation": split.select([0, 1]), "test": split.select([2])}
    DatasetDict({"train": split, **own}).save_to_disk(tmp_path / "saved")
    sides = read_image_sides(DataSource(dataset_name=str(tmp_path / "saved")), None, **SETTINGS)
    assert [row["label"] for row in sides.train] == ["cat", "dog", "dog", "cat"]
    assert sides.train[3]["image"][0, 0, 0] == 3
    assert (len(sides.validation), sides.held_out) == (2, "split validation")
    assert sides.broken == f"left out splits of {tmp_path / 'saved'}: test"


def test_nothing_named_means_the_embedded_digits():
    sides = read_image_sides(DataSource(), None, **SETTINGS)
    assert len(sides.train) + len(sides.validation) == 1797
    images = np.stack([row["image"] for row in sides.train])
    assert images.shape[1:] == (1, 8, 8)
    assert images.max() == 255


def test_sizes_that_differ_need_one_to_be_brought_to(tmp_path):
    source = write_folder(tmp_path)
    (tmp_path / "train" / "cat" / "large.png").write_bytes(png((1, 2, 3), size=(9, 9)))
    with pytest.raises(UserError, match=r"the images have 2 sizes \(.*set image_size"):
        read_image_sides(source, None, **SETTINGS)
    sides = read_image_sides(source, None, **{**SETTINGS, "size": 8})
    assert {row["image"].shape for row in sides.train} == {(3, 8, 8)}


def test_grey_images_among_coloured_ones_get_three_channels(tmp_path):
    source = write_folder(tmp_path)
    (tmp_path / "train" / "cat" / "grey.png").write_bytes(png(9, mode="L"))
    sides = read_image_sides(source, None, **SETTINGS)
    assert {row["image"].shape for row in sides.train} == {(3, 4, 6)}


def test_images_that_lie_in_no_class_are_a_mistake(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.png").write_bytes(png((1, 2, 3)))
    with pytest.raises(UserError, match=r"train/a\.png lies in no folder of a class"):
        read_image_sides(DataSource(files=(str(tmp_path),)), None, **SETTINGS)


@pytest.mark.parametrize(
    ("name", "said"), [("missing", "no such file, and no files match it"), ("empty", "holds no images")]
)
def test_a_place_without_images_is_a_mistake(tmp_path, name, said):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=said):
        read_image_sides(DataSource(files=(str(tmp_path / name),)), None, **SETTINGS)


def write_parquet(path, rows):
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["cat", "dog"])})
    Dataset.from_dict(rows, features=features).to_parquet(path)
    return DataSource(files=(str(path.parent / "*.parquet"),))


def test_parquet_holds_images_and_the_names_of_their_classes(tmp_path):
    encoded = [{"bytes": png((n, 0, 0)), "path": None} for n in range(8)]
    source = write_parquet(tmp_path / "a.parquet", {"image": encoded, "label": [0, 1] * 4})
    sides = read_image_sides(source, source, **SETTINGS)
    assert [row["label"] for row in sides.train] == ["cat", "dog"] * 4
    assert [row["image"][0, 0, 0] for row in sides.train] == list(range(8))


def test_a_row_of_parquet_without_a_label_or_an_image_is_skipped_and_listed(tmp_path):
    encoded = [{"bytes": png((n, 0, 0)), "path": None} for n in range(8)]
    encoded[6] = None
    source = write_parquet(tmp_path / "a.parquet", {"image": encoded, "label": [0, 1, 0, 1, 0, 1, 0, None]})
    sides = read_image_sides(source, source, **SETTINGS)
    assert len(sides.train) == 6
    assert "a.parquet:7 no image" in sides.broken
    assert "a.parquet:8 no label" in sides.broken


def test_parquet_that_holds_no_encoded_images_is_a_mistake(tmp_path):
    Dataset.from_dict({"image": [3], "label": [0]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet: column 'image' must hold encoded images, got Value"):
        read_image_sides(DataSource(files=(str(tmp_path / "a.parquet"),)), None, **SETTINGS)
    Dataset.from_dict({"img": [b""], "label": [0]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet: no column 'image', did you mean 'img'\?"):
        read_image_sides(DataSource(files=(str(tmp_path / "a.parquet"),)), None, **SETTINGS)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"a\.parquet: cannot be read as parquet"):
        read_image_sides(DataSource(files=(str(tmp_path / "a.parquet"),)), None, **SETTINGS)


def test_an_archive_that_cannot_be_unpacked_is_skipped_image_by_image_and_an_empty_one_is_a_mistake(tmp_path):
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            archive.writestr(f"{'cat' if number % 2 else 'dog'}/{number}.png", png((number, 0, 0)))
    content = path.read_bytes()
    start = content.index(b"dog/0.png") + len("dog/0.png")
    path.write_bytes(content[:start] + b"\xff" * 20 + content[start + 20 :])
    sides = read_image_sides(DataSource(files=(str(path),)), DataSource(files=(str(path),)), **SETTINGS)
    assert len(sides.train) == 7
    assert "images.zip/dog/0.png:5 no image: Error -3 while decompressing data" in sides.broken
    zipfile.ZipFile(path, "w").close()
    with pytest.raises(UserError, match=r"images\.zip: holds no images"):
        read_image_sides(DataSource(files=(str(path),)), None, **SETTINGS)
