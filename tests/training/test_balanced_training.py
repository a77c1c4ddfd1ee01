"""A class balance in a Trainer: what is trained on, and resumes that are as if there had been none."""

import numpy as np
import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.feed.balanced_order import BalancedOrder, ClassBalance

RARE = [0] * 20 + [1] * 4  # the classes of the twenty-four rows


@pytest.fixture
def run(build_lm, arguments, numbered_rows, tmp_path):
    """Nine updates of 2 x 4 samples of twenty-four, three of them to an epoch."""

    def train(name, balance, resume=None, **changes):
        args = arguments(seed=5, **changes)
        args.output_dir = str(tmp_path / name)
        trainer = StrategyTrainer(build_lm(), args, train_dataset=numbered_rows, balance=balance)
        trainer.train(resume_from_checkpoint=resume and str(resume))
        return trainer

    return train


def weights(trainer):
    return torch.cat([param.detach().flatten() for param in trainer.model.parameters()])


@pytest.mark.parametrize("temperature", [None, 3.0])
def test_trains_on_the_order_and_a_resume_in_the_middle_is_equal(run, tmp_path, temperature):
    balance = ClassBalance(RARE, temperature)
    straight = run("straight", balance)
    order, expected = BalancedOrder(balance, seed=5), []
    for epoch in range(3):
        order.set_epoch(epoch)
        expected += list(order)
    assert straight.model.seen == expected
    for step in (4, 6):  # within the second epoch, and at its end
        resumed = run(f"from-{step}", balance, resume=tmp_path / "straight" / f"checkpoint-{step}")
        assert resumed.model.seen == expected[step * 8 :]
        assert torch.equal(weights(resumed), weights(straight))
    if temperature is None:
        assert np.bincount(np.array(RARE)[straight.model.seen]).tolist() == [36, 36]


def test_workers_see_the_same_order(run):
    alone, helped = run("alone", ClassBalance(RARE)), run("helped", ClassBalance(RARE), dataloader_num_workers=2)
    assert alone.model.seen == helped.model.seen


@pytest.mark.parametrize(
    ("now", "complaint"),
    [
        (None, "an order with classes in turn, this run has none"),
        (ClassBalance(RARE, 2.0), "an order with classes in turn, this run has classes at temperature 2"),
    ],
)
def test_a_checkpoint_in_another_order_is_refused(run, tmp_path, now, complaint):
    run("straight", ClassBalance(RARE), max_steps=1)
    with pytest.raises(UserError, match=complaint):
        run("resumed", now, resume=tmp_path / "straight" / "checkpoint-1")


def test_a_balance_of_other_data_or_of_an_order_that_is_given_is_refused(run):
    with pytest.raises(UserError, match="balance is of 23 samples, the training data has 24"):
        run("other", ClassBalance(RARE[1:]))
    with pytest.raises(UserError, match="takes the place of a random order, got train_sampling_strategy 'sequential'"):
        run("given", ClassBalance(RARE), train_sampling_strategy="sequential")


def test_a_balance_of_a_stream_is_refused(build_lm, arguments):
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter([])

    with pytest.raises(UserError, match="balance is of 24 samples, the training data has a stream"):
        StrategyTrainer(build_lm(), arguments(), train_dataset=Stream(), balance=ClassBalance(RARE))
