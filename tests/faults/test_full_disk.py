import pytest

from scripts.benchmarks.fault_drills import disk
from scripts.benchmarks.fault_drills.processes import command


@pytest.fixture(scope="module")
def undisturbed(drills, tmp_path_factory):
    runs, corpus, _ = drills
    folder = tmp_path_factory.mktemp("long") / "out"
    assert runs.finish(command(corpus, folder, max_steps=disk.UPDATES)).wait() == 0
    return folder


@pytest.mark.parametrize("for_good", [False, True])
def test_a_limit_on_files_costs_checkpoints_and_no_step(drills, undisturbed, tmp_path, for_good):
    runs, corpus, _ = drills
    outcome = disk.drill_limit(runs, corpus, undisturbed, tmp_path / "out", for_good=for_good)
    assert outcome.problem == "", outcome


def test_a_full_disk_costs_checkpoints_and_lines_of_the_log_and_no_step(drills, undisturbed, tmp_path):
    if not disk.can_mount():
        pytest.skip("mounting a disk to fill needs root")
    runs, corpus, _ = drills
    outcome = disk.drill_full(runs, corpus, undisturbed, tmp_path / "out", for_good=False)
    assert outcome.problem == "", outcome
