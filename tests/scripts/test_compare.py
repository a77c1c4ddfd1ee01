"""The script as its users meet it before anything runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.compare import main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--vary", "optimizer=adamw,moun"], "did you mean 'muon'"),
        (["compare_architecture", "--budget", "hours"], "expected one of tokens, seconds"),
    ],
)
def test_a_mistake_is_told_before_torch_is_imported(flags, said):
    program = (
        "import sys; from scripts.compare import main\n"
        f"try: main({flags!r})\n"
        "except SystemExit as ended: print(ended.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_help_tells_its_options_and_the_comparison_that_ships(capsys):
    main(["--help"])
    said = capsys.readouterr().out
    assert all(word in said for word in ("--vary", "--budget", "--design", "compare_architecture"))
