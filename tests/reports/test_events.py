import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.reports.events import EventLog, read_events


def without_time(events):
    return [{name: value for name, value in event.items() if name != "time"} for event in events]


def test_what_was_appended_is_read_back_in_order(tmp_path):
    log = EventLog(tmp_path / "run" / "events.jsonl")
    log.append("run", step=0)
    log.append("log", step=1, loss=2.5, epoch=0.1)
    log.append("samples", step=1, samples=[{"prompt": "a\nb\u2028c", "completion": "\u00e9<b>"}])
    assert without_time(read_events(log.path)) == [
        {"event": "run", "step": 0},
        {"event": "log", "step": 1, "loss": 2.5, "epoch": 0.1},
        {"event": "samples", "step": 1, "samples": [{"prompt": "a\nb\u2028c", "completion": "\u00e9<b>"}]},
    ]


def test_numbers_that_are_not_finite_stay_valid_json_and_come_back_as_floats(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append("log", step=3, loss=math.nan, grad_norm=math.inf, low=-math.inf)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    strict = json.loads(log.path.read_text(), parse_constant=refuse)
    assert (strict["loss"], strict["grad_norm"], strict["low"]) == ("NaN", "Infinity", "-Infinity")
    (event,) = read_events(log.path)
    assert math.isnan(event["loss"])
    assert (event["grad_norm"], event["low"]) == (math.inf, -math.inf)


def test_a_model_that_says_nan_has_said_a_word(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append("samples", step=0, samples=[{"prompt": "0/0 =", "completion": "NaN"}])
    assert read_events(log.path)[0]["samples"][0]["completion"] == "NaN"


def test_scalars_of_numpy_and_torch_are_numbers(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append("log", step=1, loss=torch.tensor(0.5), tokens=np.int64(7), norm=np.float32("nan"), done=True)
    (event,) = read_events(log.path)
    assert (event["loss"], event["tokens"], event["done"]) == (0.5, 7, True)
    assert math.isnan(event["norm"])


def test_a_value_that_is_no_number_is_written_as_its_text(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append("log", step=1, path=Path("a/b"), pair=np.array([1, 2]), matrix=torch.ones(2), kinds=[Path("c")])
    (event,) = read_events(log.path)
    assert [event[name] for name in ("path", "pair", "matrix", "kinds")] == ["a/b", "[1 2]", "tensor([1., 1.])", ["c"]]


def test_every_event_is_in_the_file_when_its_writer_is_killed(tmp_path):
    path = tmp_path / "events.jsonl"
    source = (
        "import os, signal, pathlib, sys\n"
        "from hf_strategies.reports.events import EventLog\n"
        "log = EventLog(pathlib.Path(sys.argv[1]))\n"
        "for step in range(5): log.append('log', step=step, loss=1.0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", source, path], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert ended.returncode == -signal.SIGKILL
    assert [event["step"] for event in read_events(path)] == [0, 1, 2, 3, 4]


def test_what_a_full_disk_does_not_take_is_written_whole_and_in_order_once_it_does(tmp_path, no_file_above, capsys):
    log = EventLog(tmp_path / "events.jsonl")
    log.append("log", step=1, loss=2.0)
    whole = log.path.read_bytes()
    with no_file_above(len(whole) + 9):  # in the middle of a line
        log.append("log", step=2, loss=1.5)
        log.append("log", step=3, loss=1.25)
        assert log.path.read_bytes() == whole
    log.append("log", step=4, loss=1.0)
    assert [event["step"] for event in read_events(log.path)] == [1, 2, 3, 4]
    assert capsys.readouterr().out.count("WARNING") == 1


def test_a_torn_last_line_is_left_out_and_does_not_spoil_the_next_one(tmp_path):
    path = tmp_path / "events.jsonl"
    EventLog(path).append("log", step=1, loss=2.0)
    with path.open("ab") as file:
        file.write('{"event": "log", "step": 2, "text": "\u00e9'.encode()[:-1])
    assert [event["step"] for event in read_events(path)] == [1]
    EventLog(path).append("log", step=2, loss=1.5)
    assert [(event["step"], event["loss"]) for event in read_events(path)] == [(1, 2.0), (2, 1.5)]


@pytest.mark.parametrize("line", ["{", "[1]", "3", '{"event": "log"}'])
def test_a_line_that_is_no_event_is_named(tmp_path, line):
    path = tmp_path / "events.jsonl"
    path.write_text(f'{{"event": "run", "step": 0}}\n{line}\n{{"event": "end", "step": 1}}\n')
    with pytest.raises(UserError, match=r"events\.jsonl:2: expected an event as JSON, got "):
        read_events(path)


def test_resuming_forgets_what_came_after_the_checkpoint(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    for step in (0, 10, 20, 30):
        log.append("log", step=step, loss=math.inf)
    log.append("save", step=20)
    log.truncate_after(20)
    log.append("run", step=20)
    kinds = [(event["event"], event["step"]) for event in read_events(log.path)]
    assert kinds == [("log", 0), ("log", 10), ("log", 20), ("save", 20), ("run", 20)]
    assert read_events(log.path)[0]["loss"] == math.inf
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]
