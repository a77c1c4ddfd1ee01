import numpy as np
import pytest

from hf_strategies.data.number_sequences import read_sequence_sides
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError
from hf_strategies.tasks import labels


@pytest.fixture
def write(tmp_path):
    def save(name: str = "rows.npz", **arrays) -> DataSource:
        np.savez(tmp_path / name, **arrays)
        return DataSource(files=(str(tmp_path / name),))

    return save


def read(source: DataSource, *, broken: float = 0.1):
    return read_sequence_sides(
        source, None, problem=labels.problem_of, classes=labels.classes_of, validation_share=0.25,
        max_broken_share=broken, max_train_rows=None, max_eval_rows=None, seed=0,
    )  # fmt: skip


def test_sequences_of_one_channel_or_more_are_split_by_their_content(write):
    values = np.random.default_rng(0).normal(size=(40, 7))
    sides = read(write(sequences=values, labels=np.arange(40) % 2))
    assert len(sides.train) + len(sides.validation) == 40
    assert {row["label"] for row in sides.validation} == {0, 1}
    assert sides.train[0]["sequence"].shape == (7, 1)
    assert sides.train[0]["sequence"].dtype == np.float32
    wide = read(write(sequences=values.reshape(20, 7, 2), labels=np.arange(20) % 2))
    assert wide.train[0]["sequence"].shape == (7, 2)


def test_a_sequence_that_is_not_finite_is_left_out_and_too_many_are_refused(write):
    values = np.random.default_rng(0).normal(size=(40, 7))
    values[3, 2] = np.nan
    sides = read(write(sequences=values, labels=np.arange(40) % 2))
    assert len(sides.train) + len(sides.validation) == 39
    values[:10] = np.inf
    with pytest.raises(UserError, match="not finite"):
        read(write(sequences=values, labels=np.arange(40) % 2))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (
            {"sequences": np.zeros((4, 3, 2, 2)), "labels": np.arange(4)},
            r"must be numbers .* got float64 \[4, 3, 2, 2\]",
        ),
        ({"sequences": np.zeros((4, 0)), "labels": np.arange(4)}, r"none of them 0, got float64 \[4, 0, 1\]"),
        ({"sequences": np.zeros((4, 3)), "labels": np.arange(5)}, r"4 sequences need as many labels, got \[5\]"),
        ({"sequences": np.zeros((4, 3))}, "expected a .npz archive of two arrays"),
    ],
)
def test_arrays_that_are_no_sequences_are_refused(write, arrays, said):
    with pytest.raises(UserError, match=said):
        read(write(**arrays))
