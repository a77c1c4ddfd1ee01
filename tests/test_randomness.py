import hashlib
import pickle

import numpy as np
import pytest

from hf_strategies.randomness import draw_seed, generator, shuffled_indices


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 65, 1000, 4097])
def test_an_epoch_visits_every_sample_once(size):
    order = shuffled_indices(np.arange(size), size, seed=1, epoch=0)
    assert sorted(order.tolist()) == list(range(size))


def test_the_order_can_be_read_from_anywhere():
    whole = shuffled_indices(np.arange(5000), 5000, seed=3, epoch=2)
    assert np.array_equal(whole[4321:], shuffled_indices(np.arange(4321, 5000), 5000, seed=3, epoch=2))
    assert whole[17] == shuffled_indices(np.array([17]), 5000, seed=3, epoch=2)[0]


def test_a_large_epoch_costs_only_what_is_asked_of_it():
    few = shuffled_indices(np.array([0, 10**12 - 1]), 10**12, seed=0, epoch=0)
    assert len(set(few.tolist())) == 2
    assert all(0 <= index < 10**12 for index in few)


def test_epochs_and_seeds_have_orders_of_their_own():
    first = shuffled_indices(np.arange(1000), 1000, seed=0, epoch=0)
    for other in ({"seed": 0, "epoch": 1}, {"seed": 1, "epoch": 0}):
        agreeing = (first == shuffled_indices(np.arange(1000), 1000, **other)).sum()
        assert agreeing < 10  # two random orders of 1,000 agree in one place on average


def test_the_order_is_shuffled_evenly():
    # Mean displacement of a uniform random permutation of n is (n^2 - 1) / (3n), about n / 3; its standard
    # deviation over permutations is about 0.25 sqrt(n), so 5 of them are a wide margin.
    size = 10_000
    moved = np.abs(shuffled_indices(np.arange(size), size, seed=5, epoch=0) - np.arange(size)).mean()
    assert abs(moved - size / 3) < 5 * 0.25 * size**0.5


def test_a_generator_is_philox_with_the_hash_as_its_key():
    key = np.frombuffer(hashlib.blake2b(b"3\x1f1\x1f7\x1fmask", digest_size=16).digest(), dtype=np.uint64)
    plain = np.random.Generator(np.random.Philox(key=key))
    assert generator(3, 1, 7, "mask").random(9).tolist() == plain.random(9).tolist()
    copied = pickle.loads(pickle.dumps(generator(3, 1, 7, "mask")))
    assert copied.random() == generator(3, 1, 7, "mask").random()


def test_a_position_outside_the_epoch_is_refused():
    with pytest.raises(ValueError, match=r"positions must lie in \[0, 10\)"):
        shuffled_indices(np.array([10]), 10, seed=0, epoch=0)


def test_a_draw_depends_on_its_key_alone():
    draw = generator(1, 2, 3, "mask").random(4)
    assert np.array_equal(draw, generator(1, 2, 3, "mask").random(4))
    for other in [(0, 2, 3, "mask"), (1, 0, 3, "mask"), (1, 2, 0, "mask"), (1, 2, 3, "crop")]:
        assert not np.isclose(draw, generator(*other).random(4)).any()


def test_the_order_of_version_one_stays_what_it_is():
    # A resumed run must see the order it began with, whatever version of the package resumes it.
    assert shuffled_indices(np.arange(8), 8, seed=42, epoch=0).tolist() == [1, 4, 0, 6, 7, 2, 5, 3]


def test_seeds_of_draws_differ_in_each_part_of_their_key_and_fit_a_signed_integer():
    keys = [(0, 0, 0, "mask"), (1, 0, 0, "mask"), (0, 1, 0, "mask"), (0, 0, 1, "mask"), (0, 0, 0, "crop")]
    seeds = [draw_seed(*key) for key in keys]
    assert len(set(seeds)) == 5
    assert all(0 <= seed < 1 << 63 for seed in seeds)
    assert draw_seed(*keys[0]) == seeds[0]
