import os
import subprocess
import sys

import pytest

from hf_strategies.distributed.ranks import (
    available_cores,
    is_local_main_process,
    is_main_process,
    local_world_size,
    world_size,
)


def test_a_process_that_nobody_launched_is_the_only_one(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert is_main_process()
    assert is_local_main_process()
    assert (local_world_size(), world_size()) == (1, 1)


@pytest.mark.parametrize(("rank", "is_main"), [("0", True), ("1", False), ("8", False)])
def test_only_rank_zero_of_the_whole_job_is_the_main_process(monkeypatch, rank, is_main):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("LOCAL_RANK", "0")  # the first process of the second machine is not it
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    monkeypatch.setenv("WORLD_SIZE", "16")
    assert is_main_process() is is_main
    assert is_local_main_process()
    assert (local_world_size(), world_size()) == (8, 16)


def test_on_a_tpu_the_host_numbers_its_processes(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PJRT_LOCAL_PROCESS_RANK", "3")
    monkeypatch.setenv("PJRT_LOCAL_PROCESS_COUNT", "8")
    assert not is_main_process()
    assert (local_world_size(), world_size()) == (8, 8)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no process affinity on this system")
def test_cores_are_those_that_the_process_may_use():
    code = (
        "import os; from hf_strategies.distributed.ranks import available_cores\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(available_cores())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "1\n"
    assert 1 <= available_cores() <= os.cpu_count()
