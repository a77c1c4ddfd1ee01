"""Leaving with others is part of every test with two ranks; here, what one process sees."""

import multiprocessing
import os
import time

import torch
from torch import distributed

from hf_strategies.distributed.process_group import leave_process_group, rejoin_process_group


def meet(rank: int, port: int, attempt: int) -> None:
    """Be a process of two whose launcher keeps one store for all attempts; the second one comes late."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": str(attempt)}
    time.sleep(rank)
    rejoin_process_group(use_cpu=True, timeout=20)
    if not distributed.is_initialized():  # as the host does
        distributed.init_process_group("gloo")
    met = torch.ones(1)
    distributed.all_reduce(met)
    leave_process_group()
    assert met == 2


def test_processes_that_are_started_again_wait_for_each_other_and_not_for_those_before():
    store = distributed.TCPStore("127.0.0.1", 0, 2, is_master=True, wait_for_workers=False)
    for attempt in (0, 1):
        fork = multiprocessing.get_context("fork").Process
        ranks = [fork(target=meet, args=(rank, store.port, attempt)) for rank in (0, 1)]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join(30)
        codes = [rank.exitcode for rank in ranks]
        for rank in ranks:
            rank.kill()
        assert codes == [0, 0], f"attempt {attempt}"


def test_a_process_without_a_group_just_goes_on():
    leave_process_group()


def test_the_group_is_left(tmp_path):
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting_point'}", rank=0, world_size=1)
    leave_process_group()
    assert not distributed.is_initialized()
