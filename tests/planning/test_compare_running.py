"""A comparison at work. Its runs are processes of a small program in the place of a job, writing what a run does."""

import json
from pathlib import Path

import pytest

from hf_strategies.errors import UserError
from hf_strategies.planning.compare import compare
from hf_strategies.planning.compare_budget import TIMES, equal_budget, equal_lengths
from hf_strategies.planning.compare_request import parse_compare
from scripts.pretrain import main as pretrain

JOB = """
import json, sys
from pathlib import Path

flags = dict(word[2:].split("=", 1) for word in sys.argv[1:])
if flags["optimizer"] == "lion" and flags["seed"] == "1":
    sys.exit("error: lion has no appetite")
loss = 4.0 + float(flags["seed"]) - (0.5 + 0.01 * float(flags["seed"])) * (flags["optimizer"] == "muon")
results = {"eval_loss": loss, "train_runtime": float(flags["max_steps"])}
Path(flags["output_dir"], "all_results.json").write_text(json.dumps(results))
"""
VARY = ["--vary", "optimizer=adamw,muon,lion", "--max_steps", "40"]


@pytest.fixture
def scripts(tmp_path) -> Path:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "pretrain.py").write_text(JOB)
    return tmp_path / "scripts"


def test_a_comparison_answers_in_words_and_goes_on_where_it_was(scripts, tmp_path, capsys):
    folder = tmp_path / "compare"
    argv = [*VARY, "--output_dir", str(folder), "--seeds"]
    compare(parse_compare([*argv, "2"]), scripts)
    assert "optimizer muon is unsettled" not in capsys.readouterr().out  # 0.5 and 0.51: even two seeds tell
    compare(parse_compare([*argv, "3"]), scripts)
    said = capsys.readouterr().out
    assert said.count("start ") == 4  # of the third seed, and lion's second, which failed
    assert "answer    optimizer muon helps: eval_loss -0.51 (-10.2%); 95% between" in said
    assert "answer    optimizer lion: lion has no appetite" in said
    assert "paired t test over 3 seeds, p by Holm over 1 question:" in said
    table = (folder / "results.txt").read_text()
    assert table in said
    assert [line.split()[:2] for line in table.splitlines()[2:5]] == [
        ["optimizer", "adamw"],
        ["optimizer", "muon"],
        ["optimizer", "lion"],
    ]
    assert (folder / "compare.png").stat().st_size > 0


def test_nothing_is_compared_with_a_first_setting_that_failed(scripts, tmp_path):
    folder = tmp_path / "compare"
    argv = ["--vary", "optimizer=lion,muon", "--max_steps", "40", "--seeds", "2", "--output_dir", str(folder)]
    with pytest.raises(UserError, match="the first setting, to be compared with, failed: lion has no appetite"):
        compare(parse_compare(argv), scripts)


def test_equal_budgets_are_shared_by_what_an_update_costs():
    assert equal_lengths([2.0, 2.0], 100, "seconds") == [100, 100]
    assert equal_lengths([2.0, 4.0, 0.5, 3.0], 100, "seconds") == [100, 50, 400, 67]
    assert equal_lengths([1024.0, 1024.0], -1, "tokens") == [-1, -1]
    with pytest.raises(UserError, match="give the first's max_steps"):
        equal_lengths([1.0, 2.0], -1, "tokens")
    with pytest.raises(UserError, match="the first setting's 4 are less than one update of another"):
        equal_lengths([1.0, 10.0], 4, "seconds")


def test_settings_of_other_batches_train_on_as_many_tokens(tmp_path):
    vary = ["--vary", "global_batch_size=8,16", "--vary", "max_seq_length=64,32", "--max_steps", "100"]
    settings = equal_budget(parse_compare([*vary, "--design", "one_at_a_time"]), tmp_path).settings
    assert [values.get("max_steps") for values in settings] == [None, "50", "200"]


def test_what_was_timed_is_not_timed_again(tmp_path):
    names = ["optimizer=adamw", "optimizer=muon", "optimizer=lion"]
    (tmp_path / TIMES).write_text(json.dumps(dict(zip(names, (0.2, 0.4, 0.1)))))
    settings = equal_budget(parse_compare([*VARY, "--budget", "seconds"]), tmp_path).settings
    assert [values.get("max_steps") for values in settings] == [None, "20", "80"]


def test_two_settings_are_timed_here_and_begin_with_the_same_weights_and_data(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_STRATEGIES_THREADS", "1")
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n".join(f"{word} follows {word[::-1]} on line {word * 2}." for word in map(str, range(900))))
    flags = [
        "--train_file", str(corpus), "--tokenizer", "bytes", "--hidden_size", "16", "--num_hidden_layers", "1",
        "--max_seq_length", "32", "--global_batch_size", "4", "--max_steps", "4", "--num_completions", "0",
        "--bf16", "false", "--logging_steps", "1", "--eval_strategy", "no", "--save_strategy", "no",
        "--warmup_steps", "0",
    ]  # fmt: skip
    vary = ["--vary", "optimizer=adamw,muon", "--seeds", "2", "--budget", "seconds"]
    sweep = equal_budget(parse_compare([*flags, *vary]), tmp_path).settings
    known = json.loads((tmp_path / TIMES).read_text())
    assert set(known) == {"optimizer=adamw", "optimizer=muon"}
    assert all(seconds > 0 for seconds in known.values())
    assert len(sweep) == 2

    request = parse_compare([*flags, *vary]).sweep
    losses = []
    for number, values in enumerate(request.settings):
        folder = tmp_path / str(number)
        pretrain([*request.trial_argv(values, 1), "--output_dir", str(folder)])
        events = map(json.loads, (folder / "events.jsonl").read_text().splitlines())
        losses.append([event["loss"] for event in events if event["event"] == "log" and "loss" in event])
    assert losses[0][0] == losses[1][0]  # before the first update: weights and first batch are the same
    assert losses[0][1:] != losses[1][1:]
    capsys.readouterr()
