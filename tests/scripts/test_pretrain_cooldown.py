"""Cooldowns that branch off one run: several budgets, and the trunk as it was."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scripts.pretrain import main

ROOT = Path(__file__).parents[2]
CONSTANT = ["--scheduler", "constant", "--learning_rate", "2e-3", "--save_steps", "6"]


def logged(folder: Path, name: str) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [row[name] for row in history if name in row]


def launch(python: str, *flags: str, kill_at: str = "") -> str:
    """Run the script in a process of its own, and kill it at the row that begins with `kill_at`."""
    process = subprocess.Popen(
        [python, "scripts/pretrain.py", *flags],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if kill_at and line.lstrip().startswith(kill_at):
            process.kill()
    assert process.wait() == (-9 if kill_at else 0)
    return "".join(said)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def test_two_budgets_from_one_trunk_that_stays_as_it_was(pretrain, forked_python, tmp_path):
    _, trunk = pretrain(*CONSTANT, "--config_overrides", "attention_dropout=0.1", name="trunk")
    before = snapshot(trunk)
    from_six = ["--cooldown_from", str(trunk / "checkpoint-6"), "--cooldown_steps", "6"]
    branch = tmp_path / "branch"
    launch(forked_python, *from_six, "--output_dir", str(branch), "--save_steps", "3", kill_at="11/12")
    said = launch(forked_python, *from_six, "--output_dir", str(branch), "--save_steps", "3")
    assert f"resuming from {branch}/checkpoint-9" in said
    from_end = ["--cooldown_from", str(trunk / "checkpoint-12"), "--cooldown_steps", "0.25"]
    main([*from_end, "--output_dir", str(tmp_path / "long")])
    assert snapshot(trunk) == before
    rates = logged(tmp_path / "long", "learning_rate")
    assert rates[12:] == pytest.approx([2e-3, 1.5e-3, 1e-3, 0.5e-3])  # a quarter of 16

    shape = ["--scheduler", "warmup_stable_decay", "--scheduler_kwargs", "num_decay_steps=6,decay_shape=linear"]
    same = ["--learning_rate", "2e-3", "--config_overrides", "attention_dropout=0.1"]
    _, straight = pretrain(*same, *shape, name="straight")
    assert logged(branch, "learning_rate") == pytest.approx(logged(straight, "learning_rate"))
    assert logged(branch, "loss") == pytest.approx(logged(straight, "loss"), rel=1e-6)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (branch, straight))
    assert all(torch.allclose(ours[name], theirs[name], rtol=1e-6, atol=1e-8) for name in ours)

    main([str(branch / "resolved_config.yaml"), "--output_dir", str(tmp_path / "again")])
    assert logged(tmp_path / "again", "loss") == logged(branch, "loss")


def test_a_trunk_that_is_already_falling_is_said(pretrain, tmp_path, capsys):
    _, trunk = pretrain("--learning_rate", "2e-3", "--warmup_steps", "0", name="trunk")
    flags = ["--cooldown_steps", "2", "--output_dir", str(tmp_path / "branch")]
    main(["--cooldown_from", str(trunk / "checkpoint-6"), *flags])
    assert "the trunk's rate is at 0.5 of its peak there: the fall begins at that" in capsys.readouterr().out
    assert logged(tmp_path / "branch", "learning_rate")[6:] == pytest.approx([1e-3, 0.5e-3])


def test_the_trunks_other_curves_go_on_in_its_branch(pretrain, tmp_path):
    curves = ["--hyperparameter_curves", '{"weight_decay": {"scheduler": "linear"}}', "--optimizer", "adamw"]
    pretrain(*CONSTANT, *curves, name="trunk")
    trunk, branch = str(tmp_path / "trunk" / "checkpoint-6"), tmp_path / "branch"
    main(["--cooldown_from", trunk, "--cooldown_steps", "3", "--output_dir", str(branch)])
    saved = torch.load(branch / "checkpoint-9" / "optimizer.pt", weights_only=True)["param_groups"]
    # The ninth update of the trunk's twelve, after two thirds of the fall from the recipe's 0.1.
    assert max(group["weight_decay"] for group in saved) == pytest.approx(0.1 * (1 - 8 / 12))


def test_what_a_branch_cannot_be_is_said_in_one_line(pretrain, tmp_path, capsys):
    _, trunk = pretrain(*CONSTANT, name="trunk")
    checkpoint = str(trunk / "checkpoint-6")
    from_six = ["--cooldown_from", checkpoint, "--cooldown_steps", "6"]
    (tmp_path / "alone" / "checkpoint-1").mkdir(parents=True)
    (tmp_path / "alone" / "checkpoint-1" / "trainer_state.json").write_text("{}")
    for flags, complaint in [
        (["--cooldown_from", checkpoint], "cooldown_from needs cooldown_steps"),
        (["--cooldown_steps", "5"], "cooldown_steps belongs to cooldown_from"),
        ([*from_six, "--max_steps", "20"], "max_steps does not go with cooldown_from"),
        ([*from_six, "--learning_rate", "1"], "learning_rate belongs to the trunk"),
        ([*from_six, "--scheduler", "linear"], "scheduler belongs to the trunk"),
        (["pretrain", *from_six], "a cooldown stands on the settings of its trunk"),
        (["--cooldown_from", checkpoint, "--cooldown_steps", "2 epochs"], "needs the updates of one epoch"),
        (["--cooldown_from", checkpoint, "--cooldown_steps", "0"], "at least one update, got 0"),
        (
            ["--cooldown_from", checkpoint, "--cooldown_steps", "-4"],
            'must be a whole number of updates >= 0, a share of the run in (0, 1) or "2M tokens", got -4',
        ),
        (
            ["--cooldown_from", str(trunk / "checkpoint-7"), "--cooldown_steps", "6"],
            f"error: --cooldown_from: {trunk}/checkpoint-7 is not a checkpoint",
        ),
        (["--cooldown_from", str(tmp_path / "alone" / "checkpoint-1"), "--cooldown_steps", "6"], "holds no resolved_"),
        ([*from_six, "--output_dir", str(trunk)], "holds another run"),
    ]:
        with pytest.raises(SystemExit) as ended:
            main([*flags, *([] if "--output_dir" in flags else ["--output_dir", str(tmp_path / "refused")])])
        assert ended.value.code == 2
        assert complaint in capsys.readouterr().err
        assert not (tmp_path / "refused").exists()
