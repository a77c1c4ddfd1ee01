"""Processes are real ones: small programs that write what a run writes."""

import fcntl
import json
import os
import sys
import time
from pathlib import Path

import pytest

from hf_strategies.planning.trials import (
    Course,
    Outcome,
    Trial,
    TrialProcess,
    last_words,
    read_course,
    read_outcome,
    trial_name,
    write_outcome,
)

STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("child" if os.fork() == 0 else "parent", flush=True)
time.sleep(60)
"""


def run(trial: Trial, program: str, *argv: str, keep_open: tuple[int, ...] = ()) -> TrialProcess:
    return TrialProcess(trial, [sys.executable, "-c", program, *argv], {}, keep_open)


def wait_for_line(trial: Trial, line: str) -> None:
    while line not in (trial.folder / "trial.log").read_text().splitlines():
        time.sleep(0.02)


def ended(process: TrialProcess) -> Outcome:
    while (outcome := process.poll()) is None:
        time.sleep(0.02)
    return outcome


@pytest.fixture
def trial(tmp_path) -> Trial:
    return Trial({"a": "1"}, None, tmp_path / "trial")


def test_a_folder_is_named_by_what_it_tries():
    assert trial_name({"learning_rate": "0.004", "optimizer_kwargs.momentum": "0.9"}, 1) == (
        "learning_rate=0.004,optimizer_kwargs.momentum=0.9,seed=1"
    )


def test_names_that_no_file_could_have_stay_apart():
    names = [trial_name({"train_file": text}, None) for text in ("a/b", "a-b", "a b", "x" * 300, "x" * 301)]
    assert len(set(names)) == 5
    assert all("/" not in name and len(name) < 150 for name in names)


def test_a_run_that_left_results_is_finished(trial):
    program = "import sys; open(sys.argv[1] + '/all_results.json', 'w').write('{\"eval_loss\": 2.5}')"
    assert ended(run(trial, program, str(trial.folder))) == Outcome("finished", results={"eval_loss": 2.5})


def test_a_final_loss_that_is_no_number_is_a_divergence(trial):
    trial.folder.mkdir()
    (trial.folder / "all_results.json").write_text('{"eval_loss": NaN}')
    assert read_outcome(trial.folder).status == "diverged"


@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        ("import sys; print('error: no file', file=sys.stderr); print('bye'); sys.exit(2)", ("failed", "no file")),
        ("import sys; print('three lines'); sys.exit(17)", ("failed", "three lines")),
        ("1 / 0", ("failed", "ZeroDivisionError: division by zero")),
        ("import os; os.kill(os.getpid(), 9)", ("failed", "exit code -9")),
    ],
)  # fmt: skip
def test_a_run_that_left_none_says_why_and_is_remembered(trial, program, outcome):
    found = ended(run(trial, program))
    assert (found.status, found.reason) == outcome
    assert read_outcome(trial.folder) == found


def test_a_trial_that_starts_again_forgets_what_came_of_it(trial):
    trial.folder.mkdir()
    write_outcome(trial.folder, Outcome("failed", "disk full"))
    process = run(trial, "import time; time.sleep(60)")
    assert read_outcome(trial.folder) is None
    process.end(grace=1)


def test_a_process_is_ended_with_its_children_also_when_it_does_not_listen(trial, tmp_path):
    with (tmp_path / "lock").open("w") as lock:  # held by whoever has the file open
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = run(trial, STUBBORN, keep_open=(lock.fileno(),))
    wait_for_line(trial, "child")
    wait_for_line(trial, "parent")
    with (tmp_path / "lock").open("w") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    process.give_up(Outcome("stopped", "hopeless"), grace=0.2)
    assert read_outcome(trial.folder) == Outcome("stopped", "hopeless")
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a child that lived on would keep it for a minute


def test_a_process_that_listens_has_the_time_to_end(trial):
    program = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(print('saved'))); print('up', flush=True)"
    )
    process = run(trial, program + "; time.sleep(60)")
    wait_for_line(trial, "up")
    process.end(grace=10)
    assert last_words(trial.folder / "trial.log") == "saved"


def test_a_terminals_interrupt_does_not_reach_a_trial(trial):
    process = run(trial, "import os; print(os.getpgid(0))")
    ended(process)
    assert int(last_words(trial.folder / "trial.log")) != os.getpgid(0)


def events(folder: Path, *rows: dict) -> None:
    folder.mkdir()
    lines = [json.dumps({"time": "2026-01-01T00:00:00+00:00", **row}) + "\n" for row in rows]
    (folder / "events.jsonl").write_text("".join(lines))


def test_a_course_has_the_evaluations_along_the_run_alone(trial):
    run_event = {"event": "run", "step": 0, "max_steps": 30}
    evaluations = [{"event": "eval", "step": step, "eval_loss": 3.0 - step / 30} for step in (0, 10, 20, 30)]
    events(trial.folder, run_event, *evaluations)
    course = read_course(trial.folder)
    assert [evaluation["step"] for evaluation in course.evaluations] == [10, 20]
    assert (course.updates, course.length, course.diverged_at) == (30, 30, None)


@pytest.mark.parametrize("loss", ["NaN", "Infinity"])
def test_a_course_tells_the_first_loss_that_is_no_number(trial, loss):
    logs = [{"event": "log", "step": step, "loss": loss if step > 2 else 1.0} for step in (1, 2, 3, 4)]
    events(trial.folder, *logs)
    assert read_course(trial.folder).diverged_at == 3


def test_a_run_that_has_not_begun_has_no_course(trial):
    assert read_course(trial.folder) == Course(0, 0, None, ())
