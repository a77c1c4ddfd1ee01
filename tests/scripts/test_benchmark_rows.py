"""Rows on disk: what a benchmark that was stopped goes on from."""

import fcntl
import json
import math
import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.benchmarks.training_runs.measure import DECISIVE, code_version
from scripts.benchmarks.training_runs.plan import remarks_on
from scripts.benchmarks.training_runs.rows import Row, RowFile
from scripts.benchmarks.training_runs.trial import Trial, corpus_digest, key_of, published_settings

ROOT = Path(__file__).parents[2]


def row(key: str, *, loss: float = 4.5, device: str = "CPU") -> Row:
    return Row(
        key=key, contender="ours", size="1M", corpus="words", seed=0, updates=4, settings={"seed": 0}, eval_loss=loss,
        curve=[[2, 5.5], [4, loss]], tokens_per_update=64, seconds_per_update=0.5, mfu=None, wall_seconds=9.0,
        device=device, environment={"torch": "2"}, code="c", finished="2026-01-01",
    )  # fmt: skip


def trial(**changes) -> Trial:
    given = {"contender": "ours", "size": "32x1", "corpus": "words.txt", "updates": 4, "eval_every": 4,
             "eval_samples": 2, "seed": 0, "settings": {}}  # fmt: skip
    return Trial(**{**given, **changes})


def key(of: Trial, *, corpus: str = "digest", device: str = "CPU") -> str:
    return key_of(published_settings(of.parse()), corpus=corpus, device=device)


def test_rows_are_read_back_as_they_were_written(tmp_path):
    path = tmp_path / "rows" / "speedrun.jsonl"
    RowFile(path).append(row("first"))
    RowFile(path).append(row("second", loss=math.inf))
    found = RowFile(path)
    assert found.get("first") == row("first")
    assert math.isnan(found.get("second").eval_loss)
    assert math.isnan(found.get("second").curve[-1][1])
    assert found.get("third") is None


def test_a_line_that_was_cut_short_is_dropped_and_the_next_one_stands_whole(tmp_path):
    path = tmp_path / "speedrun.jsonl"
    RowFile(path).append(row("first"))
    with path.open("a") as file:
        file.write(path.read_text()[:40])
    assert RowFile(path).get("second") is None
    RowFile(path).append(row("second"))
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["first", "second"]


def test_two_processes_append_to_one_file_and_each_reads_what_the_other_wrote(tmp_path):
    one, other = RowFile(tmp_path / "speedrun.jsonl"), RowFile(tmp_path / "speedrun.jsonl")
    one.append(row("first"))
    other.append(row("second"))
    one.read()
    assert one.get("second") == row("second")
    assert RowFile(tmp_path / "speedrun.jsonl").get("first") == row("first")


def test_forgetting_a_device_leaves_the_others_rows(tmp_path):
    path = tmp_path / "speedrun.jsonl"
    rows = RowFile(path)
    rows.append(row("cpu"))
    rows.append(row("gpu", device="1 x NVIDIA H100"))
    rows.forget("CPU")
    assert RowFile(path).of_device("1 x NVIDIA H100") == [row("gpu", device="1 x NVIDIA H100")]
    assert RowFile(path).get("cpu") is None


def test_a_key_follows_what_decides_the_numbers_and_nothing_else():
    same = key(trial())
    assert same == key(trial(contender="another name", corpus="elsewhere/words.txt"))
    others = [trial(seed=1), trial(updates=5), trial(size="32x2"), trial(settings={"learning_rate": 1e-3})]
    keys = {same, *map(key, others), key(trial(), corpus="other"), key(trial(), device="1 x NVIDIA H100")}
    assert len(keys) == 7
    assert same == key(trial(settings={"save_total_limit": 3}))


def test_a_corpus_is_known_by_its_text_wherever_it_lies(tmp_path):
    for name, text in (("a.txt", "one\n"), ("b.txt", "one\n"), ("c.txt", "two\n")):
        (tmp_path / name).write_text(text)
    digests = [corpus_digest(str(tmp_path / name)) for name in ("a.txt", "b.txt", "c.txt")]
    assert digests[0] == digests[1] != digests[2]


def wait_for(seen, seconds: float = 120.0):
    """Ask every twentieth of a second until something is seen."""
    end = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
    return found


def is_free(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@pytest.fixture
def clone(forked_python, tmp_path):
    """A copy of scripts/ that keeps its rows and results to itself, and a benchmark of four runs in it."""
    folder = tmp_path / "clone"
    words = tmp_path / "words.txt"  # enough documents that a twentieth of them is some
    words.write_text("\n\n".join(" ".join(f"{n} times {k} is {n * k}." for k in range(12)) for n in range(200)) + "\n")
    unwanted = shutil.ignore_patterns("__pycache__", "rows", "RESULTS.md", "*.png")
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=unwanted)
    flags = ["--size", "32x1", "--updates", "4", "--seeds", "1", "--num_rates", "2", "--eval_samples", "2"]
    command = [forked_python, "scripts/benchmark.py", "lr-sensitivity", *flags, "--corpus", str(words)]
    return folder, command, {"cwd": folder, "env": {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}}


def test_a_killed_benchmark_goes_on_with_the_runs_that_are_missing(clone):
    folder, command, where = clone
    rows = folder / "scripts" / "benchmarks" / "rows" / "lr_sensitivity.jsonl"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, **where)
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("[1/4]"):
            os.killpg(process.pid, 9)
    process.wait()
    assert any(line.startswith("4 runs to make on ") for line in said)
    first = rows.read_text()
    assert first.count("\n") == 1

    done = subprocess.run(command, capture_output=True, text=True, check=True, **where)
    assert "\n3 runs to make on " in done.stdout
    assert rows.read_text().startswith(first)
    found = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [row["contender"] for row in found] == ["ours", "ours", "adamw", "adamw"]
    assert all(0 < row["eval_loss"] < 2 * math.log(4096) and row["seconds_per_update"] > 0 for row in found)
    assert {row["tokens_per_update"] for row in found} == {2048}
    assert str(folder) not in rows.read_text()
    written = (folder / "scripts" / "benchmarks" / "RESULTS.md").read_text()
    assert "## lr-sensitivity on " in written
    assert "`python scripts/benchmark.py lr-sensitivity --size 32x1 --updates 4 --seeds 1 --num_rates 2" in written
    assert not list((folder / "runs" / "benchmarks" / "lr_sensitivity").iterdir())

    again = subprocess.run(command, capture_output=True, text=True, check=True, **where)
    assert "\n0 runs to make on " in again.stdout
    assert len(rows.read_text().splitlines()) == 4

    with (folder / "scripts" / "benchmarks" / "training_runs" / "torch_muon.py").open("a") as peer:
        peer.write("# another peer\n")
    changed = subprocess.run(command, capture_output=True, text=True, check=True, **where)
    assert "\n0 runs to make on " in changed.stdout
    assert done_and_older(changed.stdout) == [("ours", 2, 2), ("adamw", 2, 2)]
    assert "4 of 4 runs are of older code; --fresh measures all of them again." in changed.stdout


def done_and_older(said: str) -> list[tuple[str, int, int]]:
    """Read the plan's table: contender, finished runs, and those of them that are of older code."""
    lines = [line.split() for line in said.splitlines() if line.lstrip().startswith("32x1 ")]
    return [(line[2], int(line[5]), int(line[6])) for line in lines]


def test_every_part_that_decides_what_a_run_computes_is_there():
    package = ROOT / "hf_strategies"
    assert all((package / part).exists() for part in DECISIVE)


def test_other_versions_and_older_code_are_said_of_rows():
    same = [replace(row("a"), code=code_version()), replace(row("b"), code=code_version())]
    assert remarks_on(same) == []
    other = replace(same[1], environment={"torch": "3", "numpy": "2"}, code="older")
    assert remarks_on([same[0], other]) == [
        "1 of 2 runs are of older code; --fresh measures all of them again.",
        "The runs differ in: torch, numpy.",
    ]


def test_a_benchmark_that_is_killed_alone_takes_its_run_with_it(clone):
    folder, command, where = clone
    place = folder / "runs" / "benchmarks" / "lr_sensitivity"
    endless = ["1000000" if word == "4" else word for word in command]
    process = subprocess.Popen(endless, stdout=subprocess.DEVNULL, **where)
    (events,) = wait_for(lambda: list(place.glob("*/out/events.jsonl")))
    run = events.parents[1]
    assert not is_free(run)
    process.kill()
    process.wait()
    wait_for(lambda: is_free(run))  # the run holds the lock until it is gone


def test_a_run_that_another_benchmark_is_making_is_waited_for_and_not_made_again(clone):
    folder, command, where = clone
    rows = folder / "rows.jsonl"
    code = f"""
from pathlib import Path
from benchmarks.training_runs.measure import Laboratory
from benchmarks.training_runs.rows import RowFile
from benchmarks.training_runs.trial import Trial
trial = Trial(contender="ours", size="32x1", corpus={command[-1]!r}, updates=2, eval_every=2, eval_samples=2, seed=0,
              settings={{}})
print(Laboratory("twice", RowFile(Path({str(rows)!r}))).run(trial).eval_loss)
"""
    one_of_two = {**where, "cwd": folder / "scripts", "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([command[0], "-c", code], **one_of_two) for _ in "ab"]
    said = sorted((process.communicate()[0].splitlines() for process in both), key=len)
    assert [process.returncode for process in both] == [0, 0]
    assert said[1][0].startswith("waiting for the same run of another benchmark")
    assert said[0][-1] == said[1][-1]
    assert len(rows.read_text().splitlines()) == 1
    assert not list((folder / "runs" / "benchmarks" / "twice").iterdir())


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(clone):
    folder, command, where = clone
    done = subprocess.run([*command, "--dry_run"], capture_output=True, text=True, check=True, **where)
    assert "\n4 runs to make on " in done.stdout
    assert not (folder / "runs").exists()
    assert not (folder / "scripts" / "benchmarks" / "rows").exists()
    assert not (folder / "scripts" / "benchmarks" / "RESULTS.md").exists()
