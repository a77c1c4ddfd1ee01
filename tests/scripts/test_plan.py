import subprocess
import sys
from pathlib import Path

import pytest

from scripts.plan import main

ROOT = Path(__file__).parents[2]


def test_a_schedule_is_drawn_in_the_terminal_and_as_a_picture(tmp_path, capsys):
    main(["schedule", "--max_steps", "1000", "--png", str(tmp_path / "plan.png")])
    said = capsys.readouterr().out
    assert said.startswith("learning_rate, linear: from 0 up to 0.012 in 50 updates, ends at ")
    assert max(map(len, said.splitlines()[1:-1])) <= 80
    assert (tmp_path / "plan.png").stat().st_size > 1000


def test_a_plan_is_made_without_torch(tmp_path):
    program = (
        "import sys; from scripts.plan import main\n"
        f"main(['schedule', '--png', {str(tmp_path / 'plan.png')!r}]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["schedul"], "unknown command 'schedul', did you mean 'schedule'?"),
        (["schedule", "--warmup_steps", "999"], "warmup_steps must be a whole number of updates in [0, 400]"),
        (["schedule", "--updates_per_epoch", "many"], "--updates_per_epoch: expected a whole number, got 'many'"),
        (["schedule", "--updates_per_epoch", "-5"], "--updates_per_epoch: expected at least 1, got -5"),
        (["schedule", "--updates_per_epoch", "0"], "--updates_per_epoch: expected at least 1, got 0"),
        (["schedule", "--png", "/nowhere/at/all.png"], "/nowhere/at/all.png cannot be written: No such file"),
        (["schedule", "--png", "/proc/all.png"], "--png: /proc/all.png cannot be written: "),
        (["schedule", "--png", str(ROOT)], "--png: expected a name that ends in .png, got /"),
        (["schedule", "--png", "schedule.jpg"], "--png: expected a name that ends in .png, got schedule.jpg"),
        (["schedule", "--learning_rte", "1"], "did you mean 'learning_rate'"),
    ],
)
def test_a_mistake_is_one_line(argv, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert complaint in line
    assert said.out == ""


def test_a_folder_with_a_pictures_name_is_refused(tmp_path, capsys):
    (tmp_path / "plan.png").mkdir()
    with pytest.raises(SystemExit):
        main(["schedule", "--png", str(tmp_path / "plan.png")])
    assert "plan.png cannot be written: Is a directory" in capsys.readouterr().err


def test_a_refused_plan_leaves_no_picture(tmp_path):
    with pytest.raises(SystemExit):
        main(["schedule", "--png", str(tmp_path / "plan.png"), "--learning_rte", "1"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argv", [[], ["--help"], ["schedule", "--help"]])
def test_help_shows_commands_that_work(argv, capsys):
    main(argv)
    assert "python scripts/plan.py schedule mine.yaml" in capsys.readouterr().out
