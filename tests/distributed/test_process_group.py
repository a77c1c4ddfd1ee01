"""Leaving with others is part of every test with two ranks; here, what one process sees."""

from torch import distributed

from hf_strategies.distributed.process_group import leave_process_group


def test_a_process_without_a_group_just_goes_on():
    leave_process_group()


def test_the_group_is_left(tmp_path):
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting_point'}", rank=0, world_size=1)
    leave_process_group()
    assert not distributed.is_initialized()
