"""The benchmark of lengths, on models and rows of which a step takes no time."""

import importlib
from pathlib import Path

import pytest

from hf_strategies.errors import UserError
from hf_strategies.models import ARCHITECTURES

SCRIPTS = Path(__file__).parents[2] / "scripts"
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "repetitions": 1}


@pytest.fixture
def lengths(monkeypatch, tmp_path):
    """The benchmark as a module, its pictures in a folder of the test's own."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    pictures = importlib.import_module("benchmarks.training_runs.pictures")
    monkeypatch.setattr(pictures, "FOLDER", tmp_path)
    return importlib.import_module("benchmarks.lengths")


def test_every_causal_architecture_is_timed_at_every_length(lengths):
    found = lengths.run(lengths=(8, 16), **TINY)
    goals, timed = found.tables
    causal = {entry.name for entry in ARCHITECTURES if "causal" in entry.facts["objectives"]}
    assert {row["architecture"] for row in timed.rows} == causal
    assert all(row["ms_at_8"] > 0 and row["ms_at_16"] > 0 for row in timed.rows)
    aims = {row["goal"].partition(":")[0]: "at_least" in row for row in goals.rows}
    assert {name for name, is_quadratic in aims.items() if is_quadratic} == {"transformer_pp", "transformer", "gpt2"}
    ((picture, _),) = found.pictures
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "hyena: convolutions by FFT." in found.remarks


def growth(lengths, seconds: dict[int, float], *, attends: bool):
    return importlib.import_module("benchmarks.timing.row_lengths").Growth(seconds, attends, "a scan", 1000)


def test_the_exponent_is_the_slope_over_the_longer_half(lengths):
    square = {length: 3e-6 * length**2 for length in (256, 512, 1024, 2048)}
    assert lengths.exponent_of(square) == pytest.approx(2)
    assert lengths.exponent_of({256: 9.0, 512: 9.0, 1024: 1.0, 2048: 2.0}) == pytest.approx(1)
    assert lengths.exponent_of({8: 1.0, 16: 2.0**1.5}) == pytest.approx(1.5)


def test_attention_is_to_be_seen_as_quadratic_and_all_else_as_nearly_linear(lengths):
    square, linear = {256: 1.0, 512: 4.0}, {256: 1.0, 512: 2.0}
    found = {
        "gpt2": growth(lengths, square, attends=True),
        "flat": growth(lengths, linear, attends=True),
        "mamba": growth(lengths, linear, attends=False),
        "slow": growth(lengths, square, attends=False),
    }
    verdicts = [goal.row()["verdict"] for goal in lengths.goals_of(found)]
    assert verdicts == ["met", "missed by 0.7", "met", "missed by 67%"]
    assert [row["architecture"] for row in lengths.rows_of(found)] == ["flat", "mamba", "gpt2", "slow"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"lengths": (512, 256)}, "--lengths must be two or more"),
        ({"lengths": (512,)}, "--lengths must be two or more"),
        ({"architectures": ("bert",)}, "--architectures: bert does not predict the next token"),
        ({"architectures": ("mambo",)}, "did you mean 'mamba'"),
        ({"repetitions": 0}, "--repetitions must be at least 1"),
    ],
)
def test_what_cannot_be_timed_is_refused(lengths, options, complaint):
    with pytest.raises(UserError, match=complaint):
        lengths.run(**options)
