import pytest
import torch

from hf_strategies.schedulers import create_scheduler


def rates(metrics, **shape) -> list[list[float]]:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (1.0, 1e-8)]
    optimizer = torch.optim.SGD(groups)
    scheduler = create_scheduler("reduce_on_plateau", optimizer, num_training_steps=100, **shape)
    seen = []
    for metric in metrics:
        scheduler.step(metric)
        seen.append([group["lr"] for group in optimizer.param_groups])
    return seen


def test_the_rate_falls_after_more_evaluations_without_progress_than_patience_allows():
    seen = rates([3.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0], factor=0.5, patience=1)
    assert [rate for rate, _ in seen] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]


def test_every_group_has_its_own_floor_however_small_its_rate():
    assert rates([1.0] * 5, factor=0.1, patience=0, min_lr_ratio=0.05)[-1] == pytest.approx([0.05, 5e-10])


def test_a_second_training_begins_at_the_base_rate_and_has_the_same_floor():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    for _ in range(2):
        shape = {"factor": 0.5, "patience": 0, "min_lr_ratio": 0.25}
        scheduler = create_scheduler("reduce_on_plateau", optimizer, num_training_steps=100, **shape)
        assert scheduler.get_last_lr() == [1e-3]
        for _ in range(5):
            scheduler.step(1.0)
        assert optimizer.param_groups[0]["lr"] == 2.5e-4


def test_a_higher_metric_may_be_the_better_one():
    assert rates([0.5, 0.6, 0.7], patience=0, mode="max")[-1][0] == 1.0
    assert rates([0.5, 0.6, 0.7], patience=0)[-1][0] == pytest.approx(0.01)
