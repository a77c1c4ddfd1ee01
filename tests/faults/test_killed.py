import pytest

from scripts.benchmarks.fault_drills import kills


@pytest.mark.parametrize("during_save", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_a_killed_run_is_resumed_to_the_last_bit(drills, tmp_path, seed, during_save):
    runs, corpus, reference = drills
    outcome = kills.drill(runs, corpus, reference, tmp_path / "out", seed=seed, during_save=during_save, seconds=2.0)
    assert outcome.problem == "", outcome
