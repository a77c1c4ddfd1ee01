import pytest

from scripts.benchmarks.fault_drills import numbers, sabotage

# So short that the forty-five updates which a fault may cost, of 240, are worth more than a hundredth of the loss.
SHORT = {"max_steps": 240, "eval_steps": 240, "global_batch_size": 8, "per_device_train_batch_size": 8}
TOLERANCE = 0.03


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return numbers.write_source(tmp_path_factory.mktemp("source") / "source.txt")


@pytest.fixture(scope="module")
def clean(drills, source, tmp_path_factory):
    runs, _, _ = drills
    folder = tmp_path_factory.mktemp("clean") / "out"
    assert numbers.clean(runs, source, folder, seed=0, **SHORT).problem == ""  # no false alarm either
    return folder


@pytest.mark.parametrize("kind", sabotage.KINDS)
def test_bad_numbers_cost_little_more_than_the_updates_that_are_lost(drills, source, clean, tmp_path, kind):
    runs, _, _ = drills
    outcome = numbers.drill(runs, source, clean, tmp_path / "out", kind=kind, seed=0, tolerance=TOLERANCE, **SHORT)
    assert outcome.problem == "", outcome
