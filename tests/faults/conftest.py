import pytest

from scripts.benchmarks.fault_drills.processes import Runs, command, write_corpus


@pytest.fixture(scope="session")
def drills(tmp_path_factory):
    """A folder with a corpus and an undisturbed run on it, and what starts more of them."""
    folder = tmp_path_factory.mktemp("drills")
    corpus = write_corpus(folder / "corpus.txt")
    with Runs(folder) as runs:
        run = runs.finish(command(corpus, folder / "reference"))
        assert run.wait() == 0, run.said
        yield runs, corpus, folder / "reference"
