import numpy as np
import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.training.feed.balanced_order import BalancedOrder, ClassBalance
from hf_strategies.training.feed.order import CHUNK

LABELS = np.random.default_rng(0).permutation(np.repeat([7, 2, 5], [70, 25, 5]))  # the class of each of 100 samples
TEMPERATURES = [None, 1.0, 2.0, 100.0]


def walk(order, epoch):
    order.set_epoch(epoch)
    return list(order)


def shares(indices):
    return {name: int((LABELS[indices] == name).sum()) for name in (7, 2, 5)}


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (None, {2: 34, 5: 33, 7: 33}),  # a third each; the one left over goes to the first
        (1.0, {7: 70, 2: 25, 5: 5}),
        (2.0, {7: 54, 2: 32, 5: 14}),  # square roots 8.37, 5, 2.24 of 15.60: 53.6, 32.0, 14.3
        (1e9, {2: 33, 5: 33, 7: 34}),  # equal, and the largest was cut most
    ],
)
def test_classes_come_as_often_as_asked_in_each_epoch(temperature, expected):
    order = BalancedOrder(ClassBalance(LABELS, temperature), seed=3)
    for epoch in range(3):
        indices = walk(order, epoch)
        assert len(indices) == len(order) == 100
        assert shares(indices) == expected


def test_classes_in_turn_are_in_each_batch_of_three():
    indices = np.array(walk(BalancedOrder(ClassBalance(LABELS), seed=3), epoch=4))
    rounds = LABELS[indices[:99]].reshape(33, 3)
    assert (np.sort(rounds, axis=1) == [2, 5, 7]).all()


def test_at_temperature_one_each_sample_comes_once():
    order = BalancedOrder(ClassBalance(LABELS, 1.0), seed=3)
    first, second = walk(order, 0), walk(order, 1)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_samples_of_a_class_take_turns_over_epochs(temperature):
    order = BalancedOrder(ClassBalance(LABELS, temperature), seed=3)
    times = np.zeros(100, dtype=int)
    for epoch in range(5):
        times += np.bincount(walk(order, epoch), minlength=100)
        for name in (7, 2, 5):
            of_class = times[np.equal(LABELS, name)]
            assert of_class.max() - of_class.min() <= 1


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_each_position_is_a_function_of_seed_epoch_and_itself(temperature):
    balance = ClassBalance(LABELS.tolist(), temperature)
    order = BalancedOrder(balance, seed=3)
    whole = walk(order, 2)
    assert walk(order, 2) == whole  # asking again is no next epoch
    assert [int(order.indices(np.array([position]))[0]) for position in range(100)] == whole
    assert order.indices(np.array([40, 3, 99])).tolist() == [whole[40], whole[3], whole[99]]
    others = [walk(order, 1), walk(BalancedOrder(balance, seed=4), 2)]
    assert whole not in others


@pytest.mark.parametrize("temperature", [None, 2.0])
def test_walks_the_same_order_whatever_its_chunks(temperature):
    labels = np.arange(CHUNK + 7) % 50 // 49  # one in fifty is rare
    order = BalancedOrder(ClassBalance(labels, temperature), seed=3)
    assert walk(order, 1) == order.indices(np.arange(CHUNK + 7)).tolist()


def test_members_of_a_class_do_not_come_in_the_order_of_the_data_nor_of_the_epoch_before():
    order = BalancedOrder(ClassBalance(LABELS), seed=3)
    first, second = ([index for index in walk(order, epoch) if LABELS[index] == 2] for epoch in (0, 25))
    assert first != sorted(first)
    assert first != second


def test_draws_nothing_from_the_global_streams():
    torch.manual_seed(0)
    np.random.seed(0)
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    walk(BalancedOrder(ClassBalance(LABELS), seed=0), 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpys).all()


@pytest.mark.parametrize(
    ("labels", "temperature", "complaint"),
    [
        ([0, 1], 0.5, r"temperature .* must be a finite number >= 1, or none for classes in turn, got 0.5"),
        ([0, 1], float("inf"), "got inf"),
        ([[0, 1], [1, 0]], None, r"one class per sample, got labels of shape \[2, 2\]"),
        (["spam", "spam"], None, r"two classes at least, got \['spam'\]"),
    ],
)
def test_what_cannot_be_balanced_is_refused(labels, temperature, complaint):
    with pytest.raises(UserError, match=complaint):
        ClassBalance(labels, temperature)
