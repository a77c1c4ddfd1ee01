import dataclasses

import pytest

from hf_strategies.errors import UserError
from hf_strategies.training.feed.position import Feed, Position, check_global_batch, samples_done, updates_to

FEED = Feed(num_samples=96, data_seed=42, samples_per_update=8)
HALFWAY = Position(epoch=1, samples_in_epoch=48, feed=FEED)


@pytest.mark.parametrize(
    ("progress", "done"),
    [(0.0, (0, 0)), (0.25, (0, 24)), (1.0, (1, 0)), (1 + 1 / 12, (1, 8)), (7 + 11 / 12, (7, 88)), (8.0, (8, 0))],
)
def test_progress_by_hand(progress, done):
    assert samples_done(progress, batches_per_epoch=12, samples_per_batch=8) == done


@pytest.mark.parametrize("batches_per_epoch", [3, 7, 999_983, 10**9 + 7])
def test_no_batch_is_lost_to_rounding(batches_per_epoch):
    for epoch in (0, 1, 99):
        for batches in (1, 2, batches_per_epoch // 3 + 1, batches_per_epoch - 1):
            progress = epoch + batches / batches_per_epoch  # as Trainer computes it
            found = samples_done(progress, batches_per_epoch=batches_per_epoch, samples_per_batch=4)
            assert found == (epoch, 4 * batches)


def test_a_position_is_read_back_as_it_was_written(tmp_path):
    HALFWAY.save(tmp_path / "checkpoint-7")
    assert Position.load(tmp_path / "checkpoint-7") == HALFWAY
    assert Position.load(tmp_path) is None


def test_a_position_from_before_there_were_class_balances_has_none(tmp_path):
    feed = '{"num_samples": 96, "data_seed": 42, "samples_per_update": 8}'
    (tmp_path / "position.json").write_text(f'{{"epoch": 1, "samples_in_epoch": 48, "feed": {feed}}}')
    assert Position.load(tmp_path) == HALFWAY


@pytest.mark.parametrize("text", ["", '{"epoch": 1, "sam', "[]", '{"epoch": 1}', '{"epoch": 1, "feed": {}}', "\xff"])
def test_a_damaged_position_is_refused_by_its_path(tmp_path, text):
    (tmp_path / "position.json").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"position\.json: damaged \(.*resume from an earlier checkpoint"):
        Position.load(tmp_path)


@pytest.mark.parametrize(("samples_per_update", "updates"), [(8, 6), (16, 3), (48, 1), (2, 24)])
def test_the_same_samples_are_another_number_of_other_updates(samples_per_update, updates):
    assert updates_to(HALFWAY, dataclasses.replace(FEED, samples_per_update=samples_per_update)) == updates


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"samples_per_update": 32}, "after 48 samples of epoch 1.* such as the checkpoint's 8, got 32"),
        ({"num_samples": 97}, "order of 96 samples with data_seed 42, this run has 97 "),
        ({"data_seed": 7}, "this run has 96 with data_seed 7"),
        ({"balance": "classes in turn"}, "with no class balance, this run has classes in turn"),
    ],
)
def test_a_position_that_cannot_be_reached_is_refused(change, complaint):
    with pytest.raises(UserError, match=complaint):
        updates_to(HALFWAY, dataclasses.replace(FEED, **change))


def test_a_length_in_epochs_belongs_to_one_global_batch():
    check_global_batch(HALFWAY, FEED)
    with pytest.raises(UserError, match=r"global batch of 8 samples, .* got 16"):
        check_global_batch(HALFWAY, dataclasses.replace(FEED, samples_per_update=16))
