"""The benchmark of architectures; its runs are those of a small program in the place of a job, to save time."""

import importlib
from pathlib import Path

import pytest

from hf_strategies.errors import UserError

SCRIPTS = Path(__file__).parents[2] / "scripts"
JOB = """
import json, sys
from pathlib import Path

flags = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
deep = flags.get("num_hidden_layers") == "8"
results = {"eval_loss": 5.0 + 0.01 * float(flags["seed"]) - 0.5 * deep, "train_runtime": 20.0 if deep else 10.0}
Path(flags["output_dir"], "all_results.json").write_text(json.dumps(results))
"""


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    """The benchmark as a module, its runs and its picture in folders of the test's own."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    module = importlib.import_module("benchmarks.compare_architecture")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "pretrain.py").write_text(JOB)
    monkeypatch.setattr(module, "SCRIPTS", tmp_path / "scripts")
    monkeypatch.setattr(module, "FOLDER", tmp_path / "runs")
    monkeypatch.setattr(importlib.import_module("benchmarks.training_runs.pictures"), "FOLDER", tmp_path)
    return module


def test_every_setting_of_the_recipe_has_a_row_and_an_answer(benchmark, tmp_path):
    found = benchmark.run(seeds=2, max_steps=4)
    (table,) = found.tables
    rows = {row["setting"]: row for row in table.rows}
    assert len(rows) == 1 + 2 + 2 + 2 + 1 + 1 + 1
    deep = rows["num_hidden_layers 8"]
    assert (deep["eval_loss"], deep["change"], deep["time"], deep["verdict"]) == (4.505, "-0.5000", 2.0, "helps")
    wide = rows["hidden_size 192"]
    assert (wide["eval_loss"], wide["change"], wide["time"], wide["verdict"]) == (5.005, "+0.0000", 1.0, "no matter")
    assert any(
        remark.startswith("num_hidden_layers 8 helps: eval_loss -0.5 (-10.0%), in 2") for remark in found.remarks
    )
    ((picture, _),) = found.pictures
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not any((tmp_path / "runs").iterdir())


def test_no_seeds_are_refused(benchmark):
    with pytest.raises(UserError, match="--seeds must be at least 1, got 0"):
        benchmark.run(seeds=0)
