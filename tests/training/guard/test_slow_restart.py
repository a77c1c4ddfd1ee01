import math

import pytest

from hf_strategies.training.guard import GuardOptions

CAREFUL = GuardOptions(patience=1, snapshot_steps=10, lr_scale=0.25)


def test_the_rate_is_lower_after_a_return_and_the_log_says_so(train):
    trainer, weights, _ = train(loss={15: math.nan}, guard=CAREFUL, max_steps=130, learning_rate=1e-6)
    rates = [rate / 1e-6 for rate in trainer.column("learning_rate")]
    assert rates == pytest.approx([1.0] * 14 + [0.25] * 101 + [1.0] * 15)
    moves = [
        sum((new - old).abs().sum().item() for new, old in zip(weights.after[step], weights.after[step - 1]))
        for step in (115, 116)
    ]
    assert moves[1] / moves[0] == pytest.approx(4.0, rel=0.2)  # Adam's steps are as long as the rate says


def test_a_resumed_run_is_slow_for_as_long_as_the_straight_one(train, tmp_path):
    once = {"guard": CAREFUL, "max_steps": 118, "learning_rate": 1e-6, "save_strategy": "steps", "save_steps": 20}
    train(**once, loss={15: math.nan})
    trainer, *_ = train(**once, resume=f"{tmp_path}/out/checkpoint-100")
    rates = [rate / 1e-6 for rate in trainer.column("learning_rate")]
    assert rates == pytest.approx([1.0] * 14 + [0.25] * 101 + [1.0] * 3)


def test_a_second_training_begins_at_its_whole_rate(train):
    trainer, *_ = train(loss={15: math.nan}, guard=CAREFUL, max_steps=20, learning_rate=1e-6)
    assert trainer.column("learning_rate")[-1] == pytest.approx(0.25e-6)
    trainer.loss_factors = {}
    trainer.train()
    assert trainer.column("learning_rate") == pytest.approx([1e-6] * 20)
