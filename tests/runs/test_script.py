import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hf_strategies.errors import StoppedError, UserError
from hf_strategies.runs.script import outlast_first_signal, script

ROOT = Path(__file__).parents[2]
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@script
def failing(argv=None):
    raise UserError("first line\nsecond line")


def test_a_users_mistake_ends_with_its_lines_and_exit_code_2(capsys):
    with pytest.raises(SystemExit) as ended:
        failing([])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: first line\nerror: second line\n"


LARGE = """
import resource
from hf_strategies.runs.script import script

@script
def main(argv=None):
    import torch
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 << 20)  # 64 MiB
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

main([])
"""


@pytest.mark.skipif(
    not HUGE_PAGES.is_file() or "[never]" in HUGE_PAGES.read_text(), reason="the system has no huge pages"
)
def test_tensors_lie_in_huge_pages():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) < 12_000  # 32 pages of 2 MiB, as far as they are free; of 4 KiB, they would be 16,384


@pytest.mark.parametrize("words", [[], ["--debug"]])
def test_a_stop_is_no_error_and_ends_with_143(capsys, words):
    @script
    def stopped(argv=None):
        raise StoppedError("SIGTERM after update 3 of 9")

    with pytest.raises(SystemExit) as ended:
        stopped(words)
    assert ended.value.code == 143
    assert capsys.readouterr().err == "stopped: SIGTERM after update 3 of 9\n"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_outside_of_training_ends_with_143_too(capsys, name):
    @script
    def stopped(argv=None):
        signal.raise_signal(getattr(signal, name))
        raise AssertionError

    before = signal.getsignal(getattr(signal, name))
    with pytest.raises(SystemExit) as ended:
        stopped([])
    assert ended.value.code == 143
    assert capsys.readouterr().err == f"stopped: {name}, outside of training: nothing that was saved is lost\n"
    assert signal.getsignal(getattr(signal, name)) is before


def test_a_first_signal_waits_for_ranks_that_finish_together_and_a_second_does_not(capsys, monkeypatch):
    @script
    def finishing(argv=None):
        outlast_first_signal()
        signal.raise_signal(signal.SIGTERM)
        if argv:
            signal.raise_signal(signal.SIGTERM)
        return "finished"

    monkeypatch.setenv("WORLD_SIZE", "2")
    assert finishing([]) == "finished"
    assert capsys.readouterr().out == (
        "SIGTERM: training is done, and the run finishes first; another SIGTERM ends it at once\n"
    )
    with pytest.raises(SystemExit) as ended:
        finishing(["again"])
    assert ended.value.code == 143
    monkeypatch.setenv("WORLD_SIZE", "1")  # nobody waits for it
    with pytest.raises(SystemExit) as ended:
        finishing([])
    assert ended.value.code == 143


@pytest.mark.parametrize("words", [[], ["after training"]])
def test_a_process_forked_by_a_script_dies_of_its_signals_in_silence(capfd, monkeypatch, words):
    monkeypatch.setenv("WORLD_SIZE", "2")

    @script
    def forking(argv=None):
        if argv:
            outlast_first_signal()
        child = os.fork()
        if child == 0:
            signal.raise_signal(signal.SIGTERM)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert forking(words) == -signal.SIGTERM
    assert capfd.readouterr() == ("", "")


def test_debug_keeps_the_traceback():
    with pytest.raises(UserError):
        failing(["--debug"])


def test_one_process_per_machine_speaks(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "8")
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(SystemExit):
        failing([])
    assert capsys.readouterr().err != ""
    monkeypatch.setenv("RANK", "9")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(SystemExit):
        failing([])
    assert capsys.readouterr().err == ""


IMPORTS = """
import logging
from hf_strategies.runs.script import outlast_first_signal, script

@script
def main(argv=None):
    import bitsandbytes.backends.cpu.ops
    logging.getLogger("bitsandbytes.backends.cpu.ops").warning("something else")

main()
"""


def test_what_bitsandbytes_says_of_its_cpu_kernel_is_left_out():
    pytest.importorskip("bitsandbytes")
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr == "something else\n"


def test_results_are_handed_through():
    assert script(lambda argv=None: argv)(["a"]) == ["a"]
