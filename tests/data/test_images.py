import io
import zipfile

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features
from datasets import Image as ImageFeature
from PIL import Image

from hf_strategies.data.images import decode, read_image_sides
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


def test_folders_name_sides_and_classes(tmp_path):
    sides = read_image_sides(write_folder(tmp_path), None, **SETTINGS)
    assert [row["label"] for row in sides.train] == ["cat"] * 3 + ["dog"] * 3
    assert len(sides.validation) == 6
    assert sides.held_out == "their own folder, or split"


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
    DatasetDict({"train": split, "validation": split.select([0, 1])}).save_to_disk(tmp_path / "saved")
    sides = read_image_sides(DataSource(dataset_name=str(tmp_path / "saved")), None, **SETTINGS)
    assert [row["label"] for row in sides.train] == ["cat", "dog", "dog", "cat"]
    assert sides.train[3]["image"][0, 0, 0] == 3
    assert len(sides.validation) == 2


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
