"""A mixture of sources, through the script."""

import json
import math
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

STEPS = ["--max_steps", "12", "--save_steps", "6", "--eval_steps", "6", "--logging_steps", "3"]


@pytest.fixture
def mixture(tmp_path, tiny):
    """A YAML file that mixes prose and numbers, of which there is more towards the end."""
    (tmp_path / "prose.txt").write_text(
        "\n\n".join(f"It was a dark night number {n}, and it rained." for n in range(90))
    )
    (tmp_path / "numbers.txt").write_text("\n\n".join(" ".join(str(n * k) for k in range(9)) for n in range(90)))
    sources = {
        "prose": {"train_file": str(tmp_path / "prose.txt"), "weight": {0: 0.75, 0.5: 0.25}},
        "numbers": {"train_file": str(tmp_path / "numbers.txt"), "weight": {0: 0.25, 0.5: 0.75}},
    }
    path = tmp_path / "mixture.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(Path(tiny).read_text()), "mixture": sources}))
    return str(path)


def test_losses_are_told_by_source_and_a_resumed_run_is_the_straight_one(mixture, tmp_path, capsys):
    from scripts.pretrain import main

    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    results = main([mixture, *STEPS, "--output_dir", str(straight)])
    said = capsys.readouterr().out
    assert "prose train: " in said
    assert "numbers validation: " in said
    assert results["eval_loss_prose"] != results["eval_loss_numbers"]
    history = json.loads((straight / "trainer_state.json").read_text())["log_history"]
    rows = [row for row in history if "loss" in row]
    assert len(rows) == 4
    for row, prose in zip(rows, (0.75, 0.75, 0.25, 0.25), strict=True):
        mixed = prose * row["loss_prose"] + (1 - prose) * row["loss_numbers"]
        assert math.isclose(row["loss"], mixed, rel_tol=0.02)  # bf16, and a source's last block is short
    (straight / "checkpoint-6").rename(tmp_path / "kept")
    main([mixture, *STEPS, "--output_dir", str(resumed), "--resume_from_checkpoint", str(tmp_path / "kept")])
    position = json.loads((straight / "checkpoint-12" / "position.json").read_text())
    assert (position["epoch"], position["samples_in_epoch"]) == (0, 96)
    one, other = (load_file(folder / "model.safetensors") for folder in (straight, resumed))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--mixture", "{}", "--max_steps", "3"], "mixture is empty"),
        (["--mixture", '{"a": {"train_file": "x", "weight": 0.5}}', "--max_steps", "3"], "must sum to 1, got 0.5"),
        (["--mixture", '{"a": {"train_file": "x", "weight": 1}}', "--max_steps", "-1"], "a mixture needs max_steps"),
        (["--mixture", '{"a": {"train_file": "x", "weight": 1}}', "--train_file", "y"], "cannot both be given"),
        (
            ["--mixture", '{"a": {"train_file": "x", "weight": 1}}', "--validation_file", "y"],
            "validation_file does not go with a mixture",
        ),
        (
            ["--mixture", '{"a": {"train_file": "no-such-file", "weight": 1}}'],
            "no-such-file: no such file, and no files match it",
        ),
    ],
)
def test_what_a_mixture_cannot_be_is_refused(flags, complaint, refuse):
    assert complaint in refuse(*flags)
