import pytest

from scripts.benchmarks.fault_drills import numbers, sabotage
from scripts.benchmarks.fault_drills.processes import write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("many") / "corpus.txt", count=numbers.DOCUMENTS)


@pytest.fixture(scope="module")
def clean(drills, corpus, tmp_path_factory):
    runs, _, _ = drills
    folder = tmp_path_factory.mktemp("clean") / "out"
    assert numbers.clean(runs, corpus, folder, seed=0).problem == ""  # no false alarm either
    return folder


@pytest.mark.parametrize("kind", sabotage.KINDS)
def test_bad_numbers_cost_less_than_a_hundredth_of_the_loss(drills, corpus, clean, tmp_path, kind):
    runs, _, _ = drills
    outcome = numbers.drill(runs, corpus, clean, tmp_path / "out", kind=kind, seed=0)
    assert outcome.problem == "", outcome
