"""A snapshot brings a run back to the bit, whatever the optimizer keeps."""

import copy

import pytest
import torch

from hf_strategies.errors import MissingPackageError
from hf_strategies.optimizers import OPTIMIZERS, create_optimizer
from hf_strategies.training.guard.snapshot import HEALTHY_AFTER, Live, Memory, Snapshot
from hf_strategies.training.random_streams import RandomStreams

CPU = torch.device("cpu")


def advance(model, optimizer, steps):
    """Train on data that the global stream draws."""
    for _ in range(steps):
        rows = torch.randint(0, 250, (2, 8))
        model(input_ids=rows, labels=rows).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return [param.detach().clone() for param in model.parameters()]


@pytest.mark.parametrize("name", OPTIMIZERS.names())
@pytest.mark.parametrize("steps_before", [0, 2])
def test_every_optimizer_of_the_shelf_comes_back_to_the_bit(tiny_lm, name, steps_before):
    try:
        optimizer = create_optimizer(name, tiny_lm, lr=1e-3)
    except MissingPackageError as error:
        pytest.skip(str(error))
    if hasattr(optimizer, "train"):
        optimizer.train()
    advance(tiny_lm, optimizer, steps_before)
    live = Live(tiny_lm, optimizer, [], CPU)
    snapshot = Snapshot(live, steps_before, RandomStreams(CPU))
    expected = advance(tiny_lm, optimizer, 3)
    snapshot.restore(live)
    for ours, theirs in zip(advance(tiny_lm, optimizer, 3), expected, strict=True):
        assert torch.equal(ours, theirs)
    snapshot.restore(live)  # and once more: nothing in it has moved
    for ours, theirs in zip(advance(tiny_lm, optimizer, 3), expected, strict=True):
        assert torch.equal(ours, theirs)


def test_memory_of_an_old_snapshot_serves_the_next(tiny_lm):
    optimizer = create_optimizer("adamw", tiny_lm, lr=1e-3)
    advance(tiny_lm, optimizer, 1)
    live = Live(tiny_lm, optimizer, [], CPU)
    first = Snapshot(live, 1, RandomStreams(CPU))
    places = {tensor.data_ptr() for tensor in first.tensors()}
    advance(tiny_lm, optimizer, 1)
    second = Snapshot(live, 2, RandomStreams(CPU), first)
    assert {tensor.data_ptr() for tensor in second.tensors()} == places
    weights = copy.deepcopy(list(tiny_lm.parameters()))
    advance(tiny_lm, optimizer, 1)
    second.restore(live)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(tiny_lm.parameters(), weights, strict=True))


def test_the_schedules_rate_stays_where_it_is(tiny_lm):
    optimizer = torch.optim.SGD(tiny_lm.parameters(), lr=1.0, momentum=0.9)
    live = Live(tiny_lm, optimizer, [], CPU)
    snapshot = Snapshot(live, 0, RandomStreams(CPU))
    optimizer.param_groups[0] |= {"lr": 0.5, "momentum": 0.1}
    snapshot.restore(live)
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]) == (0.5, 0.9)


def test_a_snapshot_is_trusted_once_good_updates_follow_or_where_its_state_is_proven(tiny_lm):
    live, memory = Live(tiny_lm, torch.optim.SGD(tiny_lm.parameters(), lr=1.0), [], CPU), Memory()
    memory.take(live, 0, RandomStreams(CPU))
    assert memory.newest_healthy(before=100) is None  # the first, too: a resumed run may begin at harmed weights
    memory = Memory()
    memory.take(live, 0, RandomStreams(CPU), is_proven=True)
    assert memory.newest_healthy(before=100).step == 0
    memory.take(live, 50, RandomStreams(CPU))
    for is_good in [True] * (HEALTHY_AFTER - 1) + [False] + [True] * (HEALTHY_AFTER - 1):
        memory.judge(is_good=is_good)
        assert memory.newest_healthy(before=100).step == 0
    memory.take(live, 60, RandomStreams(CPU))  # 50 has still to prove itself: 0 must not make place
    memory.judge(is_good=True)
    assert memory.newest_healthy(before=100).step == 50
    assert memory.newest_healthy(before=50).step == 0
    memory.take(live, 100, RandomStreams(CPU))
    assert memory.newest_healthy(before=50) is None
