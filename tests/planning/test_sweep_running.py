"""A sweep at work. Its trials are processes of small programs in the place of a job, that write what a run writes."""

import fcntl
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from hf_strategies.planning.sweep import Sweep, sweep, working_places
from hf_strategies.planning.sweep_folder import open_sweep_folder
from hf_strategies.planning.sweep_request import parse_sweep
from hf_strategies.planning.sweep_search import ListedSearch

ROOT = Path(__file__).parents[2]
PREAMBLE = """
import json, math, os, signal, sys, time
from pathlib import Path

flags = dict(word[2:].split("=", 1) for word in sys.argv[1:])
folder, scripts = Path(flags["output_dir"]), Path(__file__).parent
rate = float(flags["learning_rate"])

def log(kind, step, **row):
    with open(folder / "events.jsonl", "a") as events:
        print(json.dumps({"time": "2026-01-01T00:00:00+00:00", "event": kind, "step": step, **row}), file=events)

def finish(*_):
    (folder / "all_results.json").write_text(json.dumps({"eval_loss": 3.0 + abs(math.log10(rate) + 2.0)}))
    sys.exit()

log("run", 0, max_steps=8)
"""
FINISHES = "while (scripts / f'hold {rate:g}').exists(): time.sleep(0.02)\nfinish()"
RATES = ["--vary", "learning_rate=0.001,0.002,0.004"]
OPTUNA = ["--vary", "learning_rate=1e-4..1e-1", "--search", "optuna", "--eval_strategy", "no", "--trials"]


@pytest.fixture
def scripts(tmp_path):
    """Write a job; returns its folder."""

    def write(program: str = FINISHES) -> Path:
        (tmp_path / "scripts").mkdir()
        (tmp_path / "scripts" / "pretrain.py").write_text(PREAMBLE + program)
        return tmp_path / "scripts"

    return write


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "sweep"


def rows_of(folder: Path) -> dict[str, dict]:
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    return {row["trial"]: row for row in rows}


def wait_for(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def start(python: str, scripts: Path, *argv: object) -> subprocess.Popen:
    """Start a sweep in a process of its own."""
    program = (
        "import sys; from pathlib import Path\n"
        "from hf_strategies.planning.sweep import sweep\n"
        "from hf_strategies.planning.sweep_request import parse_sweep\n"
        f"sweep(parse_sweep(sys.argv[1:]), Path({str(scripts)!r}))"
    )
    command = [python, "-c", program, *map(str, argv)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def open_sweep(scripts: Path, folder: Path, *argv: str) -> Sweep:
    request = parse_sweep([*argv, "--output_dir", str(folder)])
    open_sweep_folder(request)
    return Sweep(request, folder, scripts, [{}], os.open(folder / ".lock", os.O_RDWR | os.O_CREAT))


def test_a_finished_search_that_runs_again_has_all_it_found_and_one_that_asks_for_more_keeps_it(
    scripts, folder, capsys
):
    pytest.importorskip("optuna")
    job, flags = scripts(), ["--output_dir", str(folder)]
    sweep(parse_sweep([*OPTUNA, "3", *flags]), job)
    first, best = rows_of(folder), (folder / "best.yaml").read_text()
    assert [row["status"] for row in first.values()] == ["finished"] * 3
    assert "warning   no evaluation between a quarter of the run and its end" in capsys.readouterr().out

    sweep(parse_sweep([*OPTUNA, "3", *flags]), job)
    assert (rows_of(folder), (folder / "best.yaml").read_text()) == (first, best)
    assert "start " not in capsys.readouterr().out

    sweep(parse_sweep([*OPTUNA, "4", *flags]), job)
    more = rows_of(folder)
    assert {name: more.pop(name) for name in first} == first
    assert len(more) == 1
    assert capsys.readouterr().out.count("start ") == 1


def test_a_search_that_was_killed_has_what_it_had_found(forked_python, scripts, folder):
    pytest.importorskip("optuna")
    job = scripts(
        "while len(list(folder.parent.iterdir())) > 1 and (scripts / 'hold').exists(): time.sleep(0.02)\nfinish()"
    )
    (job / "hold").touch()
    killed = start(forked_python, job, *OPTUNA, 3, "--output_dir", folder)
    wait_for(lambda: len(list(folder.glob("trials/*"))) == 2)
    first = rows_of(folder)
    killed.kill()
    killed.communicate()
    (job / "hold").unlink()
    done, _ = (last := start(forked_python, job, *OPTUNA, 3, "--output_dir", folder)).communicate()
    assert last.returncode == 0, done
    after = rows_of(folder)
    assert {name: after[name] for name in first} == first
    assert [row["status"] for row in after.values()] == ["finished"] * 3


def test_a_sweep_that_is_killed_a_second_time_keeps_the_rows_it_had(forked_python, scripts, folder):
    job = scripts()
    sweep(parse_sweep([*RATES, "--output_dir", str(folder)]), job)
    before, undone = rows_of(folder), folder / "trials" / "learning_rate=0.002"
    (undone / "all_results.json").unlink()
    (job / "hold 0.002").touch()
    killed = start(forked_python, job, *RATES, "--output_dir", folder)
    wait_for(lambda: (undone / "events.jsonl").read_text().count('"run"') == 2)
    killed.kill()
    killed.communicate()
    (job / "hold 0.002").unlink()
    assert rows_of(folder) == before


def test_trials_run_side_by_side_each_with_its_share_of_the_cores(scripts, folder, monkeypatch):
    monkeypatch.delenv("HF_STRATEGIES_THREADS", raising=False)
    monkeypatch.setattr("hf_strategies.planning.sweep.available_cores", lambda: 8)
    meeting = "while len(list(folder.parent.iterdir())) < 2: time.sleep(0.02)\n"  # alone, the first would wait forever
    job = scripts(meeting + "(folder / 'threads').write_text(os.environ['HF_STRATEGIES_THREADS'])\nfinish()")
    sweep(parse_sweep([*RATES, "--parallel", "2", "--output_dir", str(folder)]), job)
    assert [row["status"] for row in rows_of(folder).values()] == ["finished"] * 3
    assert [path.read_text() for path in folder.glob("trials/*/threads")] == ["4"] * 3


def test_each_trial_has_a_gpu_of_those_that_the_sweep_was_given(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    def devices(*flags: str) -> list[str]:
        return [place.get("CUDA_VISIBLE_DEVICES", "") for place in working_places(parse_sweep([*RATES, *flags]))]

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices() == ["0", "1"]
    assert devices("--parallel", "3") == ["0", "1", "0"]
    assert devices("--use_cpu") == [""]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert devices() == ["4", "7"]


class GivesUp(ListedSearch):
    """A search that finds everything hopeless that it has seen an evaluation of."""

    def is_hopeless(self, values, evaluations):
        return bool(evaluations)


def given_up(scripts: Path, folder: Path) -> Sweep:
    tried = open_sweep(scripts, folder, "--vary", "learning_rate=0.001")
    tried.search = GivesUp(tried.request.settings, tried.request.seeds)
    tried.run()
    return tried


EVALUATED = "log('eval', 2, eval_loss=5.39)\nlog('log', 3, loss=9.0)\n"


def test_a_stopped_trial_tells_the_evaluation_it_was_stopped_for(scripts, folder):
    job = scripts(EVALUATED + "time.sleep(60)")
    ((_, outcome),) = given_up(job, folder).tried
    assert (outcome.status, outcome.reason) == ("stopped", "eval_loss 5.39 at update 2 of 8")
    assert rows_of(folder)["learning_rate=0.001"]["reason"] == outcome.reason


def test_a_trial_that_finishes_while_it_is_being_stopped_has_finished(scripts, folder):
    job = scripts("signal.signal(signal.SIGTERM, finish)\n" + EVALUATED + "time.sleep(60)")
    ((_, outcome),) = given_up(job, folder).tried
    assert (outcome.status, outcome.results) == ("finished", {"eval_loss": 4.0})


def test_a_trial_whose_last_update_is_done_is_not_stopped_any_more(scripts, folder):
    job = scripts("(folder / 'events.jsonl').write_text('')\n"
                  "log('eval', 2, eval_loss=5.39)\nlog('log', 8, loss=9.0)\n"
                  "log('run', 0, max_steps=8)\ntime.sleep(1.5)\nfinish()")  # fmt: skip
    ((_, outcome),) = given_up(job, folder).tried
    assert outcome.status == "finished"


def test_a_sweep_that_waits_for_another_can_be_interrupted(forked_python, scripts, folder):
    folder.mkdir()
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = start(forked_python, scripts(), *RATES, "--output_dir", folder)
        said = ""
        while "waiting   for another sweep" not in said:
            said += waiting.stdout.readline()
        waiting.send_signal(signal.SIGINT)
        left, _ = waiting.communicate()
    assert waiting.returncode == 128 + signal.SIGINT
    assert "Traceback" not in left
    assert f"the same command with --output_dir {folder} goes on" in left
