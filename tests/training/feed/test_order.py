import numpy as np
import pytest
import torch

from hf_strategies.randomness import shuffled_indices
from hf_strategies.training.feed.order import CHUNK, ShuffledOrder


@pytest.mark.parametrize("size", [1, 100, CHUNK, CHUNK + 7])
def test_walks_the_whole_order_once_whatever_its_chunks(size):
    order = ShuffledOrder(size, seed=3)
    order.set_epoch(2)
    assert list(order) == shuffled_indices(np.arange(size), size, seed=3, epoch=2).tolist()
    assert len(order) == size


def test_each_epoch_and_each_seed_has_an_order_of_its_own():
    order, other = ShuffledOrder(100, seed=0), ShuffledOrder(100, seed=1)
    first = list(order)
    assert list(order) == first  # asking again is no next epoch
    order.set_epoch(1)
    assert len({tuple(first), tuple(order), tuple(other)}) == 3


def test_draws_nothing_from_the_global_stream():
    before = torch.get_rng_state()
    list(ShuffledOrder(100, seed=0))
    assert torch.equal(torch.get_rng_state(), before)
