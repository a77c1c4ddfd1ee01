import pytest

from scripts.benchmarks.fault_drills import signals
from scripts.benchmarks.fault_drills.processes import command


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_signal_costs_no_update(drills, tmp_path, ranks):
    runs, corpus, reference = drills
    if ranks > 1:  # sums are taken in another order than by one
        reference = tmp_path / "reference"
        argv = command(corpus, reference, ranks=ranks)
        assert [member.wait() for member in signals.start_ranks(runs, argv, ranks)] == [0, 0]
    for seed in (0, 5):  # SIGINT to all ranks, SIGUSR1 to one alone
        output = tmp_path / f"out-{seed}"
        outcome = signals.drill(runs, corpus, reference, output, seed=seed, ranks=ranks, seconds=1.0)
        assert outcome.problem == "", outcome
