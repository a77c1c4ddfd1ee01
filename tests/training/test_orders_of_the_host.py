"""Orders of samples that are not ours are other ones in each epoch, and the same after a resume."""

import pytest
import torch
from torch.utils.data import WeightedRandomSampler

from hf_strategies.training import StrategyTrainer

HOW = {
    "by length": {"train_sampling_strategy": "group_by_length"},
    "as batches": {"train_sampling_strategy": "batch_rebalance"},
    "dealt out by one rank": {"accelerator_config": {"dispatch_batches": True}},
}


class Weighted(StrategyTrainer):
    def _get_train_sampler(self, train_dataset=None):
        return WeightedRandomSampler([1.0] * 24, 24)


@pytest.fixture
def train(build_lm, arguments, numbered_rows):
    """Train for three epochs of three updates each, with dropout, or what is left of them."""

    def run(trainer_class=StrategyTrainer, resume=None, **changes):
        trainer = trainer_class(build_lm(), arguments(**changes), train_dataset=numbered_rows)
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return run


def assert_keyed(train, tmp_path, *args, **changes):
    straight = train(*args, **changes)
    epochs = [straight.model.seen[start : start + 24] for start in range(0, 72, 24)]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    for step in (3, 5):  # where an epoch begins, and within it
        resumed = train(*args, resume=f"{tmp_path}/out/checkpoint-{step}", **changes)
        assert resumed.model.seen == straight.model.seen[8 * step :]
        for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
            assert torch.equal(ours, theirs)
    return epochs


@pytest.mark.parametrize("changes", HOW.values(), ids=HOW)
def test_every_sample_comes_once_in_an_epoch_and_a_resumed_run_sees_the_same(train, tmp_path, changes):
    epochs = assert_keyed(train, tmp_path, **changes)
    assert all(sorted(epoch) == list(range(24)) for epoch in epochs)


def test_a_users_own_order_that_draws_from_the_global_stream(train, tmp_path):
    assert_keyed(train, tmp_path, Weighted)
