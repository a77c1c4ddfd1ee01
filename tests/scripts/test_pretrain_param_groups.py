"""Parameter groups through a whole run: printed, used, reported, and there again after a resume."""

import json
import shutil

import torch

from hf_strategies.reports.events import read_events

SETTINGS = {"layerwise_lr_decay": 0.5, "decay_embeddings": False}
LINES = [  # the matrices of a block are 4 of 32 x 32 and 3 of 32 x 96
    ["blocks", "0-1", "matrices", "14", "26,624", "0.002", "to", "0.004", "0.1", "muon"],
    ["input", "embeddings", "1", "8,224", "0.003", "0", "adamw"],
    ["blocks", "0-1", "vectors", "4", "128", "0.006", "to", "0.012", "0", "adamw"],
    ["output", "vectors", "1", "32", "0.024", "0", "adamw"],
]


def printed_groups(text: str) -> list[list[str]]:
    lines = text.splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.startswith("group  ")]
    return [line.split() for line in lines[start + 2 :][: len(LINES)]]


def test_groups_are_printed_used_and_reported_also_after_a_resume(pretrain, capsys):
    rates = ["--learning_rate", "8e-3", "--optimizer_kwargs", "adamw_lr=2.4e-2"]
    flags = ["--param_groups", json.dumps(SETTINGS), *rates]
    _, folder = pretrain(*flags)
    assert printed_groups(capsys.readouterr().out) == LINES
    groups = torch.load(folder / "checkpoint-12" / "optimizer.pt", weights_only=True)["param_groups"]
    assert {group["name"]: group["initial_lr"] for group in groups}["block 1 matrices"] == 4e-3

    (folder / "all_results.json").unlink()
    (folder / "report.html").unlink()
    shutil.rmtree(folder / "checkpoint-12")
    pretrain(*flags)
    assert printed_groups(capsys.readouterr().out) == LINES
    starts = [event for event in read_events(folder / "events.jsonl") if event["event"] == "run"]
    assert [start["step"] for start in starts] == [0, 6]
    assert starts[0]["param_groups"] == starts[1]["param_groups"]
    report = (folder / "report.html").read_text()
    assert "<td>blocks 0-1 matrices</td><td>14</td><td>26,624</td><td>0.002 to 0.004</td>" in report


def test_a_rule_that_fits_nothing_is_refused_before_the_data_is_read(refuse, tmp_path):
    rules = {"rules": [{"pattern": "up_prj", "lr": 1e-3}]}
    said = refuse("--train_file", str(tmp_path / "nowhere.txt"), "--param_groups", json.dumps(rules))
    assert "rule 'up_prj' matches no parameter; the nearest are model.layers.0.mlp.up_proj.weight" in said
    assert not (tmp_path / "refused").exists()
