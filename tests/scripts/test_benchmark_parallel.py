"""The benchmark of parallel runs: its residuals, and a small part of its runs, for real."""

import importlib
import math
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def parallel(monkeypatch):
    """Import a module of the benchmark, as the script does."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def test_a_residual_is_the_largest_relative_difference_of_whole_curves(parallel):
    residual = parallel("parallel_runs.curves").residual
    assert residual([2.0, 1.01, 0.5], [2.0, 1.0, 0.5]) == pytest.approx(0.01)
    assert residual([2.0, 1.0], [2.0, 1.0]) == 0.0
    for broken in ([2.0], [2.0, 1.0, 0.5], [2.0, math.nan], []):
        assert residual(broken, [2.0, 1.0]) == math.inf
    assert residual([], []) == math.inf


def test_every_way_to_spread_a_run_has_the_same_global_batch(parallel):
    spreads = parallel("parallel_runs.spreads")
    for spread in (spreads.REFERENCE, *spreads.SPREADS):
        replicas = spread.processes // spread.stages
        assert spread.micro_batch * spread.accumulation * replicas == spreads.GLOBAL_BATCH, spread
        assert not spread.machine or (ROOT / "accelerate_configs" / f"{spread.machine}.yaml").is_file()
    named = [str(spread) for spread in (spreads.REFERENCE, *spreads.SPREADS)]
    assert len(set(named)) == len(named)


def test_a_process_gets_what_the_launcher_would_set(parallel):
    pytest.importorskip("deepspeed")
    found = parallel("parallel_runs.launch").launcher_environment(ROOT / "accelerate_configs" / "zero2.yaml", 2)
    assert found["ACCELERATE_USE_DEEPSPEED"] == "true"
    assert found["ACCELERATE_DEEPSPEED_CONFIG_FILE"] == str(ROOT / "ds_configs" / "zero2.json")


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    """Return the curves of a job, by its name and the spread's; each run is made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        from benchmarks.fault_drills.processes import Runs
        from benchmarks.parallel_runs.jobs import JOBS, write_material
        from benchmarks.parallel_runs.rows import measure
        from benchmarks.parallel_runs.spreads import REFERENCE, SPREADS

        folder = tmp_path_factory.mktemp("parallel")
        write_material(folder)
        named = {str(spread): spread for spread in SPREADS} | {"one process": REFERENCE}
        with Runs(folder) as runs:
            yield cache(lambda job, spread: measure(JOBS[job], named[spread], runs, folder))


@pytest.mark.parametrize(
    ("job", "spread"),
    [
        ("ragged rows", "1 process, 2 x 4 x 1"),
        ("ragged rows", "DDP, 4 x 1 x 2"),
        ("ragged rows", "ZeRO-2, 2 x 2 x 2"),
        ("ragged rows", "FSDP2, 2 x 2 x 2"),
        ("ragged rows", "pipeline of 2, 2 x 4 x 1"),
        ("pretraining", "ZeRO-3, 2 x 2 x 2"),
    ],
)
def test_a_run_is_the_same_however_it_is_spread(curves, parallel, job, spread):
    if spread.startswith(("ZeRO", "pipeline")):
        pytest.importorskip("deepspeed")
    reference = curves(job, "one process")
    assert len(reference["loss"]) == 20
    assert reference["loss"][-1] < 0.9 * reference["loss"][0]
    assert max(reference["grad_norm"]) > 0.5  # what gradients are clipped to
    residuals = parallel("parallel_runs.curves").residuals(curves(job, spread), reference)
    assert max(residuals.values()) <= 1e-5, residuals
