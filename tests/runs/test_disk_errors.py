"""Scripts on a full disk, as processes of their own: only there a limit is theirs alone."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SCRIPT = """
import resource, sys
from pathlib import Path
from hf_strategies.runs.script import script

@script
def main(argv=None):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))  # bytes
    for number in range(1000):
        print(f"line {number}", flush=True)
    print("a warning", file=sys.stderr, flush=True)
    Path(sys.argv[1]).write_text("x" * int(sys.argv[2]))

main()
"""


def run(folder, output, size):
    with output.open("w") as stdout:
        return subprocess.run(
            [sys.executable, "-c", SCRIPT, folder / "report.html", str(size)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )


def test_a_script_does_not_end_for_want_of_a_line(tmp_path):
    ended = run(tmp_path, tmp_path / "run.log", 10)
    assert ended.returncode == 0, ended.stderr
    assert "a warning" in ended.stderr
    assert (tmp_path / "report.html").read_text() == "x" * 10
    assert (tmp_path / "run.log").read_text().startswith("line 0\nline 1\n")
    assert (tmp_path / "run.log").stat().st_size == 1000


def test_a_file_that_a_full_disk_does_not_take_is_named_in_a_line(tmp_path):
    ended = run(tmp_path, tmp_path / "run.log", 5000)
    assert ended.returncode == 2
    assert "error: a file cannot be written (File too large): free space on its disk\n" in ended.stderr
    assert "Traceback" not in ended.stderr
