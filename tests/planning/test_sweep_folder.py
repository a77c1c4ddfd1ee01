import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from hf_strategies.errors import UserError
from hf_strategies.planning.sweep_folder import locked, open_sweep_folder
from hf_strategies.planning.sweep_request import parse_sweep


def opened(tmp_path: Path, *flags: str) -> Path:
    return open_sweep_folder(parse_sweep([*flags, "--output_dir", str(tmp_path / "sweep")]))


VARY = ["--vary", "learning_rate=1e-3,2e-3"]
RANDOM = ["--search", "random", "--trials", "2"]
DRAW = ["--vary", "learning_rate=1e-4..1e-2", "--search", "random"]


def test_without_a_folder_named_the_next_free_one_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [open_sweep_folder(parse_sweep(VARY)) for _ in range(2)] == [
        Path("runs/sweep-pretrain-1"), Path("runs/sweep-pretrain-2")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ([*VARY, "--max_steps", "9"], [*VARY, "--max_steps", "9"]),
        (VARY, [*VARY, "--parallel", "2", "--report_to", "none"]),
        (VARY, ["--vary", "learning_rate=0.001,0.002,4e-3"]),
        ([*VARY, "--seeds", "0"], [*VARY, "--seeds", "0,1"]),
        ([*DRAW, "--trials", "3"], [*DRAW, "--trials", "5"]),
    ],
    ids=["the same", "what is no part of it", "another value", "another seed", "more trials"],
)
def test_the_same_sweep_or_more_of_it_goes_on(tmp_path, first, then):
    assert opened(tmp_path, *first) == opened(tmp_path, *then)
    asked = yaml.safe_load((tmp_path / "sweep" / "sweep.yaml").read_text())
    assert len(asked["vary"]) == 1


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (VARY, ["--vary", "learning_rate=1e-3"], "learning_rate: 0.001,0.002 there, 0.001 here"),
        (VARY, [*VARY, "--max_steps", "9"], "max_steps: 400 there, 9 here"),
        (VARY, [*VARY, "--optimizer_kwargs", "momentum=0.5"], "optimizer_kwargs: "),
        (VARY, [*VARY, "--vary", "weight_decay=0,0.1"], "weight_decay: nothing there, 0,0.1 here"),
        (VARY, [*VARY, "--seeds", "0,1"], "seeds: [] there, [0, 1] here"),
        ([*DRAW, "--trials", "3"], [*DRAW, "--trials", "2"], "trials: 3 there, 2 here"),
        ([*DRAW, "--trials", "2"], [*VARY, *RANDOM], "learning_rate: 0.0001..0.01 there, 0.001,0.002 here"),
        ([*VARY, *RANDOM], ["--vary", "learning_rate=1e-3,2e-3,3e-3", *RANDOM], "learning_rate: 0.001,0.002 there"),
    ],
)  # fmt: skip
def test_another_sweep_is_refused_with_the_differences(tmp_path, first, then, said):
    opened(tmp_path, *first)
    before = (tmp_path / "sweep" / "sweep.yaml").read_bytes()
    with pytest.raises(UserError, match="holds another sweep") as refused:
        opened(tmp_path, *then)
    assert said in str(refused.value)
    assert (tmp_path / "sweep" / "sweep.yaml").read_bytes() == before


def test_another_text_under_the_same_name_makes_another_sweep(tmp_path):
    settings, train, validation = (tmp_path / name for name in ("mine.yaml", "train.txt", "validation.txt"))
    settings.write_text(f"validation_file: [{validation}]")
    train.write_text("One text."), validation.write_text("Another.")
    sweep = [str(settings), *VARY, "--train_file", str(train)]
    opened(tmp_path, *sweep)
    assert opened(tmp_path, *sweep) == tmp_path / "sweep"
    for changed in (train, validation):
        before = changed.read_text()
        changed.write_text("A third one.")
        with pytest.raises(UserError, match=f"the text of {changed}: it has changed since"):
            opened(tmp_path, *sweep)
        changed.write_text(before)


def test_a_further_text_is_more_of_the_same_sweep(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"Text {name}.")
    opened(tmp_path, "--vary", f"train_file={tmp_path}/a.txt")
    opened(tmp_path, "--vary", f"train_file={tmp_path}/a.txt,{tmp_path}/b.txt")
    texts = yaml.safe_load((tmp_path / "sweep" / "sweep.yaml").read_text())["texts"]
    assert list(texts) == [f"{tmp_path}/a.txt", f"{tmp_path}/b.txt"]


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "notes.txt").touch()
    with pytest.raises(UserError, match="holds something else"):
        opened(tmp_path, *VARY)


def test_a_process_that_outlives_the_locks_owner_holds_it(tmp_path, capsys):
    with locked(tmp_path) as lock:
        program = "import sys; sys.stdin.read()"
        child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, pass_fds=[lock])
    told_to_end, held_until_then = threading.Event(), []

    def take_it() -> None:
        with locked(tmp_path):
            held_until_then.append(told_to_end.is_set())

    waiting = threading.Thread(target=take_it)
    waiting.start()
    while "waiting" not in capsys.readouterr().out:
        time.sleep(0.02)
    told_to_end.set()
    child.communicate()
    waiting.join()
    assert held_until_then == [True]
