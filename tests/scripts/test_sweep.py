"""The script as its users run it: every trial is a process of scripts/pretrain.py on a tiny model."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.resolved import differences, read_resolved
from scripts.sweep import main

ROOT = Path(__file__).parents[2]
SMALL = [
    "--hidden_size", "16", "--num_hidden_layers", "1", "--optimizer", "adamw", "--scheduler", "constant",
    "--num_completions", "0", "--bf16", "false",
]  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("HF_STRATEGIES_THREADS", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def words(tiny, corpus):
    return [tiny, "--train_file", str(corpus), *SMALL]


def rows_of(folder: Path) -> dict[str, dict]:
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    return {row["trial"]: row for row in rows}


@pytest.fixture
def start(words, forked_python):
    """Start the script in a process of its own; returns it."""

    def run(*flags: str) -> subprocess.Popen:
        command = [forked_python, "scripts/sweep.py", *words, *flags]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return run


def test_a_grid_ends_with_a_table_a_picture_and_a_recipe_also_when_a_trial_diverges(
    forked_children, words, tmp_path, capsys
):
    folder = tmp_path / "sweep"
    # Plain gradient descent at a rate of 10 throws the weights farther in each update than in the one before.
    plain = [word if word != "adamw" else "sgd" for word in words]
    flags = ["--weight_decay", "0", "--max_grad_norm", "0", "--max_steps", "80", "--output_dir", str(folder)]
    vary = ["--vary", "learning_rate=1e-3,3e-3,10"]
    main([*plain, *flags, *vary])
    said = capsys.readouterr().out
    low, best, high = rows_of(folder).values()
    assert best["eval_loss"] < low["eval_loss"]
    assert high["status"] == "diverged"
    assert "not finite at update" in high["reason"]
    assert "best      learning_rate 0.003: eval_loss" in said
    assert "of the best (1% of the best)" in said
    assert "warning" not in said  # the rate above the best one has diverged
    for name in ("sweep.yaml", "results.txt", "sweep.png"):
        assert (folder / name).stat().st_size > 0
    recipe = folder / "best.yaml"
    assert yaml.safe_load(recipe.read_text())["learning_rate"] == 3e-3
    trial = folder / "trials" / best["trial"]
    again = parse_arguments([str(recipe)], description="", default_recipe="pretrain")
    assert differences(read_resolved(trial), again) == {}

    before = {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/*")}
    main([*plain, *flags, *vary])
    assert "start " not in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/*")} == before


def test_optuna_searches_and_its_finished_search_tells_again_what_it_found(forked_children, words, tmp_path, capsys):
    pytest.importorskip("optuna")
    folder = tmp_path / "sweep"
    vary = ["--vary", "learning_rate=1e-3..1e-2", "--vary", "optimizer_kwargs.betas=[0.9,0.95]"]
    argv = [*words, *vary, "--search", "optuna", "--trials", "2", "--max_steps", "6", "--output_dir", str(folder)]
    main(argv)
    first, rows = capsys.readouterr().out, rows_of(folder)
    assert [row["status"] for row in rows.values()] == ["finished", "finished"]
    main(argv)
    again = capsys.readouterr().out
    assert "start " not in again
    assert again.partition("\n\n")[2] == first.partition("\n\n")[2]  # the table, and what follows it
    assert rows_of(folder) == rows


def test_a_sweep_of_which_nothing_came_says_why(words, tmp_path, capsys):
    folder = tmp_path / "sweep"
    with pytest.raises(SystemExit) as ended:
        main([*words, "--vary", "attn_implementation=flash_attention_2", "--output_dir", str(folder)])
    assert ended.value.code == 2
    assert (
        "no setting came to its end; the first: the model cannot be built with attn_implementation flash"
        in capsys.readouterr().err
    )
    (row,) = rows_of(folder).values()
    assert row["status"] == "failed"


def test_a_sweep_that_was_killed_and_one_that_was_stopped_go_on_where_they_were(start, words, tmp_path):
    folder = tmp_path / "sweep"
    flags = ["--vary", "learning_rate=1e-3,3e-3", "--max_steps", "300", "--save_steps", "100", "--eval_steps", "300"]
    flags += ["--output_dir", str(folder)]
    trials = [folder / "trials" / f"learning_rate={rate}" for rate in ("0.001", "0.003")]

    killed = start(*flags)
    wait_for(trials[0] / "checkpoint-100" / "trainer_state.json")  # the last file of a checkpoint
    killed.kill()
    killed.communicate()
    stopped = start(*flags)  # waits for the trial that has outlived its sweep, and takes it as it is
    wait_for(trials[1] / "checkpoint-100" / "trainer_state.json")  # the last file of a checkpoint
    stopped.send_signal(signal.SIGTERM)
    left, _ = stopped.communicate()
    assert stopped.returncode == 128 + signal.SIGTERM
    assert f"the same command with --output_dir {folder} goes on" in left
    assert not (trials[1] / "all_results.json").exists()

    done, _ = (last := start(*flags)).communicate()
    assert last.returncode == 0, done
    assert [(trial / "trial.log").read_text().count("output    ") for trial in trials] == [1, 2]
    assert "resuming from" in (trials[1] / "trial.log").read_text()
    assert [row["status"] for row in rows_of(folder).values()] == ["finished", "finished"]


def wait_for(path: Path) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--vary", "lerning_rate=1"], "did you mean 'learning_rate'"),
        (["find-lr", "--min", "1", "--max", "0.1"], "needs 0 < min < max, got min 1 and max 0.1"),
        (["--vary", "learning_rate=1e-3", "--train_file", "nowhere.txt"], "nowhere.txt: no such file"),
        (["find_lr", "--min", "1"], "find_lr: for a range test write find-lr first"),
        (["find-lr", "--seeds", "x", "--steps", "2", "--optimizer", "moun"], "did you mean 'muon'"),
    ],
)
def test_a_mistake_is_told_before_torch_is_imported(flags, said):
    program = (
        "import sys; from scripts.sweep import main\n"
        f"try: main({flags!r})\n"
        "except SystemExit as ended: print(ended.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_answers_in_an_interpreter_of_its_own():
    command = [sys.executable, "scripts/sweep.py", "--help"]
    assert "--vary" in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_help_tells_both_commands_options(capsys):
    main(["--help"])
    assert "--vary" in capsys.readouterr().out
    main(["find-lr", "--help"])
    assert "--warm_steps" in capsys.readouterr().out


def test_a_band_that_the_range_does_not_hold_is_said_to_be_open(words, tmp_path, capsys):
    # A loss that still falls at 1e-3, the highest rate of the range: no band is to be swept yet.
    flags = ["--seeds", "0", "--warm_steps", "5", "--steps", "30", "--min", "1e-5", "--max", "1e-3"]
    main(["find-lr", *words, *flags, "--output_dir", str(tmp_path / "found")])
    said = capsys.readouterr().out
    assert "warning   the loss was still falling at --max 0.001: raise it" in said
    assert " or more (" in said
    assert "next " not in said


def test_a_band_of_rates_is_found_written_and_handed_to_a_sweep(words, tmp_path, capsys, monkeypatch):
    folder, here = tmp_path / "found", tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    main(["find-lr", *words, "--output_dir", str(folder), "--seeds", "0,1", "--warm_steps", "5", "--steps", "40"])
    found = json.loads((folder / "lr_range.json").read_text())
    assert 1e-5 < found["band"]["lowest"] <= found["band"]["low"] <= found["band"]["high"] <= found["band"]["highest"]
    assert [test["seed"] for test in found["tests"]] == [0, 1]
    assert found["tests"][0]["losses"] != found["tests"][1]["losses"]
    assert {path.name for path in folder.iterdir()} == {"lr_range.json", "lr_range.png"}
    assert not list(here.iterdir())
    said = capsys.readouterr().out
    assert f"band      learning_rate {found['band']['low']:.2g} to {found['band']['high']:.2g}" in said
    assert "next      python scripts/sweep.py" in said
    with pytest.raises(SystemExit):
        main(["find-lr", *words, "--output_dir", str(folder)])
    assert "is not empty" in capsys.readouterr().err
