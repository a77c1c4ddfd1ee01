"""A program in a fork is what it would be in an interpreter of its own."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are made on Linux")


def said(*command: str, **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, **options)
    assert done.stderr == ""
    return done.stdout


def test_words_folder_environment_and_open_files_are_its_own(forked_python, tmp_path):
    told = "import os, sys; print(sys.argv[1:], os.getcwd(), os.environ['OWN'], 'PATH' in os.environ, __name__)"
    place = {"cwd": tmp_path, "env": {"OWN": "1"}}
    expected = f"['a', 'b'] {tmp_path} 1 False __main__\n"
    assert said(forked_python, "-c", told, "a", "b", **place) == expected
    (tmp_path / "told.py").write_text(told)
    for program in (["told.py"], ["-u", "-B", "told.py"], ["-m", "told"]):
        assert said(forked_python, *program, "a", "b", **place) == expected
    (tmp_path / "place.py").write_text("print(__file__)")
    assert said(forked_python, "place.py", **place) == f"{tmp_path}/place.py\n"
    reading, writing = os.pipe()
    subprocess.run([forked_python, "-c", f"import os; os.write({writing}, b'here')"], pass_fds=[writing], check=True)
    assert os.read(reading, 9) == b"here"
    os.close(reading)
    os.close(writing)


def test_libraries_are_there_and_nothing_is_left_of_another_program(forked_python):
    assert (
        said(forked_python, "-c", "import sys, torch; torch.left = 1; print('transformers' in sys.modules)")
        == "True\n"
    )
    assert said(forked_python, "-c", "import torch; print(hasattr(torch, 'left'))") == "False\n"


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("pass", 0),
        ("raise SystemExit(17)", 17),
        ("import sys; sys.exit('said')", 1),
        ("1 / 0", 1),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import os; os.kill(os.getpid(), 15)", -signal.SIGTERM),
        ("import threading, time, os; threading.Thread(target=lambda: (time.sleep(0.1), os._exit(3))).start()", 3),
        ("import atexit, os; atexit.register(os._exit, 4)", 4),
    ],
)
def test_it_ends_as_it_would(forked_python, program, code):
    ended = [
        subprocess.run([python, "-c", program], capture_output=True) for python in (forked_python, sys.executable)
    ]
    assert [done.returncode for done in ended] == [code, code]
    assert ended[0].stderr.splitlines()[-1:] == ended[1].stderr.splitlines()[-1:]


ENDLESS = "import os, signal, sys, time; {}; print(os.getpid(), flush=True); time.sleep(60)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_it(forked_python, number):
    handled = ENDLESS.format(f"signal.signal({int(number)}, lambda *_: sys.exit(5))")
    with subprocess.Popen([forked_python, "-c", handled], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(30) == 5


def test_it_is_killed_with_what_stands_for_it(forked_python):
    with subprocess.Popen([forked_python, "-c", ENDLESS.format("pass")], stdout=subprocess.PIPE) as process:
        program = psutil.Process(int(process.stdout.readline()))
        process.kill()
        assert process.wait(30) == -signal.SIGKILL
        end = time.monotonic() + 30
        while program.is_running():
            assert time.monotonic() < end
            time.sleep(0.01)


def test_what_is_imported_with_other_variables_is_imported_anew(forked_python, tmp_path):
    told = "import sys; print('torch' in sys.modules)"
    assert said(forked_python, "-c", told, env={**os.environ, "HF_HOME": str(tmp_path)}) == "False\n"
    assert said(forked_python, "-I", "-c", told) == "False\n"


def test_what_it_starts_is_forked_too(forked_python):
    inner = "import sys; print('torch' in sys.modules)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    assert said(forked_python, "-c", outer) == "True\n"
