import numpy as np
import pytest

from hf_strategies.data.clips import read_clip_sides
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError

LIMITS = {
    "validation_share": 0.25, "max_broken_share": 0.2, "max_train_rows": None, "max_eval_rows": None, "seed": 0,
    "problem": lambda label: "" if label == label else "no label",
    "classes": lambda labels: [str(label) for label in labels],
}  # fmt: skip


def write(path, clips, labels, **others):
    np.savez(path, clips=clips, labels=labels, **others)
    return DataSource(files=(str(path),))


def clips(count, kind=np.uint8):
    return np.random.default_rng(0).integers(0, 255, size=(count, 3, 4, 5, 6)).astype(kind)


def test_clips_and_labels_come_as_they_are_in_the_file(tmp_path):
    made = clips(40)
    sides = read_clip_sides(write(tmp_path / "a.npz", made, np.arange(40) % 2), None, **LIMITS)
    assert len(sides.train) + len(sides.validation) == 40
    assert sides.train[0]["clip"].shape == (3, 4, 5, 6)
    assert {row["label"] for row in sides.train} == {0, 1}


@pytest.mark.parametrize("kind", [np.int64, np.int16, np.uint32])
def test_pixels_are_bytes_whatever_type_holds_them(tmp_path, kind):
    limits = {**LIMITS, "validation_share": 0.5}
    rows = read_clip_sides(write(tmp_path / "a.npz", clips(8, kind), np.arange(8) % 2), None, **limits).train
    same = read_clip_sides(write(tmp_path / "b.npz", clips(8), np.arange(8) % 2), None, **limits).train
    for row, other in zip(rows, same, strict=True):
        assert row["clip"].dtype == np.uint8
        np.testing.assert_array_equal(row["clip"], other["clip"])


def test_a_clip_that_is_not_finite_is_skipped_and_listed(tmp_path):
    made = clips(40, np.float32)
    made[7, 0, 0, 0, 0] = np.nan
    sides = read_clip_sides(write(tmp_path / "a.npz", made, np.arange(40) % 2), None, **LIMITS)
    assert len(sides.train) + len(sides.validation) == 39
    assert "a.npz:8 holds values that are not finite" in sides.broken


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"clip": clips(2), "labels": [0, 1]}, "no array 'clips', did you mean 'clip'"),
        ({"clips": clips(2)[:, :, 0], "labels": [0, 1]}, r"must be \[n, channels, frames, height, width\]"),
        ({"clips": clips(2)[:, :, :0], "labels": [0, 1]}, r"none of them 0, got \[2, 3, 0, 5, 6\]"),
        (
            {"clips": clips(2, np.int64) * 16, "labels": [0, 1]},
            "clips of type int64 must be pixels from 0 to 255, got 0 to 40[0-9][0-9]: .* uint16, other numbers as",
        ),
        ({"clips": clips(2, np.int8), "labels": [0, 1]}, "clips of type int8 must be pixels from 0 to 255, got -128"),
        ({"clips": clips(3), "labels": [0, 1]}, "3 clips need as many labels, got"),
        (
            {"clips": np.array([["a"]], dtype=object), "labels": [0]},
            r"a\.npz: clips and labels must be arrays of numbers",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=said):
        read_clip_sides(DataSource(files=(str(tmp_path / "a.npz"),)), None, **LIMITS)


def test_a_file_that_is_no_archive_is_said_without_advice_on_pickles(tmp_path):
    source = write(tmp_path / "a.npz", clips(4), [0, 1, 0, 1])
    whole = (tmp_path / "a.npz").read_bytes()
    for content in (whole[:-100], b"not an archive"):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(
            UserError, match=r"a\.npz: expected a \.npz archive of two arrays \(clips, labels\)"
        ) as told:
            read_clip_sides(source, None, **LIMITS)
        assert "pickle" not in str(told.value)


def test_a_clip_without_a_label_is_skipped_and_listed(tmp_path):
    labels = np.arange(40) % 2 * 1.0
    labels[3] = np.nan
    sides = read_clip_sides(write(tmp_path / "a.npz", clips(40), labels), None, **LIMITS)
    assert len(sides.train) + len(sides.validation) == 39
    assert "a.npz:4 no label" in sides.broken
