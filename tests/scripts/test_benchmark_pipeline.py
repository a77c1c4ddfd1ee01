import pytest

from hf_strategies.errors import UserError
from scripts.benchmarks import pipeline
from scripts.benchmarks.pipeline import compare, run


def test_a_step_is_compared_with_that_of_one_process():
    row = compare(2, 4, alone=8.0, staged=5.5)  # 8 / 2 x 5 / 4 = 5 s; of 5.5 s, each stage works 4
    assert (row["ideal_ms"], row["measured_ms"]) == (5000, 5500)
    assert (row["ideal_bubble"], row["measured_bubble"]) == ("20.0%", "27.3%")
    assert (row["above_ideal"], row["verdict"]) == ("10.0%", "met")
    assert compare(2, 4, alone=8.0, staged=6.25)["verdict"] == "missed by 5.0%"


def test_stages_without_a_core_of_their_own_are_refused(monkeypatch):
    monkeypatch.setattr(pipeline, "available_cores", lambda: 1)
    with pytest.raises(UserError, match="2 stages need 2 cores of their own, got 1"):
        run()


def test_updates_are_timed_in_one_process_and_in_a_pipeline(forked_children):
    pytest.importorskip("deepspeed")
    from scripts.benchmarks.timing.pipeline_steps import step_seconds

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "rows": 1, "sequence_length": 8}
    for processes in (1, 2):
        found = step_seconds(processes, (1, 2), 1, sizes)
        assert set(found) == {1, 2}
        assert all(0 < seconds < 60 for seconds in found.values())
