import pytest

from hf_strategies.training.stop.time_budget import Deadline, deadlines, due


def test_without_a_budget_or_slurm_there_is_no_deadline():
    assert deadlines(None, started=1000.0, environ={}) == []
    assert due([], now=1e12, update_seconds=1.0, evaluation_seconds=1.0, save_seconds=1.0) is None


def test_hours_count_from_the_jobs_start_and_slurm_says_its_own_end():
    found = deadlines(1.5, started=1000.0, environ={"SLURM_JOB_END_TIME": "9000"})
    assert found == [Deadline("max_hours", 6400.0), Deadline("SLURM_JOB_END_TIME", 9000.0, slack=30.0)]


def test_an_end_that_is_no_time_is_told(caplog):
    assert deadlines(None, started=0.0, environ={"SLURM_JOB_END_TIME": "Unknown"}) == []
    assert "expected seconds since 1970, got 'Unknown'" in caplog.text


@pytest.mark.parametrize(("now", "expected"), [(939.9, None), (940.1, "end")])
def test_an_update_and_twice_the_last_save_must_fit_and_the_slack(now, expected):
    known = [Deadline("far", 5000.0), Deadline("end", 1000.0, slack=30.0)]
    assert (
        due(known, now=now, update_seconds=6.0, evaluation_seconds=4.0, save_seconds=10.0) == expected
    )  # 30 + 6 + 4 + 2 x 10
