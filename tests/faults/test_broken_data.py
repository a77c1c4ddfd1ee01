from scripts.benchmarks.fault_drills import broken_data
from scripts.benchmarks.fault_drills.processes import command


def test_broken_records_are_listed_and_the_order_of_the_others_stays(drills, tmp_path):
    runs, *_ = drills
    whole = broken_data.write_records(tmp_path / "records.jsonl")
    assert runs.finish(command(whole, tmp_path / "reference")).wait() == 0
    outcome = broken_data.drill_records(runs, whole, tmp_path / "reference", tmp_path / "out", seed=0)
    assert outcome.problem == "", outcome


def test_a_killed_worker_is_replaced_and_nothing_else_changes(drills, tmp_path):
    runs, corpus, _ = drills
    assert runs.finish(command(corpus, tmp_path / "reference", **broken_data.SETTINGS)).wait() == 0
    where = (corpus, tmp_path / "reference", tmp_path / "out")
    outcome = broken_data.drill_worker(runs, *where, seed=0)
    assert outcome.problem == "", outcome
