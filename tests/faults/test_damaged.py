import pytest

from scripts.benchmarks.fault_drills import damage


@pytest.mark.parametrize("kind", damage.DAMAGES)
def test_a_damaged_checkpoint_is_seen_and_the_one_before_it_taken(drills, tmp_path, kind):
    runs, corpus, reference = drills
    outcome = damage.drill(runs, corpus, reference, tmp_path / "out", damage=kind)
    assert outcome.problem == "", outcome
