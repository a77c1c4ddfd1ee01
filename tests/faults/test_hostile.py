import pytest

from scripts.benchmarks.fault_drills import hostile


@pytest.mark.parametrize("kind", hostile.HOSTILE)
def test_a_hostile_folder_is_refused_before_anything_of_it_runs(drills, tmp_path, kind):
    runs, corpus, reference = drills
    outcome = hostile.drill(runs, corpus, reference / "checkpoint-12", tmp_path / "made", kind=kind)
    assert outcome.problem == "", outcome
