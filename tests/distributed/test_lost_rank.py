import pytest

from hf_strategies.distributed.lost_rank import noticing_lost_ranks
from hf_strategies.errors import LostRankError

GLOO = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:57290"
NCCL = "NCCL error: remote process exited or there was a network error, NCCL version 2.27"


def fail(error: Exception) -> None:
    with noticing_lost_ranks():
        raise error


@pytest.mark.parametrize("said", [GLOO, NCCL, "Timed out waiting 1800000ms for recv operation to complete"])
def test_what_collectives_say_of_a_peer_becomes_one_line(said, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(LostRankError, match=r"^another process of this job has ended") as caught:
        fail(RuntimeError(said))
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("WORLD_SIZE", "1")
    with pytest.raises(RuntimeError, match=r"^(?!another)"):
        fail(RuntimeError(said))


def test_the_error_may_be_the_cause_of_another(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    error = RuntimeError("the backward pass failed")
    error.__cause__ = RuntimeError(GLOO)
    with pytest.raises(LostRankError):
        fail(error)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), BrokenPipeError(32, "Broken pipe")])
def test_any_other_error_stays_as_it_is(error, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(type(error)) as caught:
        fail(error)
    assert caught.value is error
