import pickle

import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.schedulers import RunScale, create_scheduler, schedule_curve
from hf_strategies.schedulers.late_start import start_late, start_step


def group(intervals: int, length) -> dict:
    return {"joins_after": [intervals, length]}


@pytest.mark.parametrize(
    ("waiting", "start"),
    [
        ({}, 0),
        (group(2, 15), 30),
        (group(3, 0.1), 30),
        (group(1, "1 epoch"), 25),
        (group(2, "2 epochs"), 100),
        (group(1, "3k tokens"), 3),
        (group(1, 0.001), 1),  # a part of an update is one
        (group(5, 30), 150),  # after the run's end: never
    ],
)
def test_a_group_begins_after_its_intervals_in_any_unit(waiting, start):
    run = RunScale(100, tokens_per_update=1000, updates_per_epoch=25)
    assert start_step(waiting, run) == start


def test_an_interval_without_its_unit_says_what_is_missing():
    with pytest.raises(UserError, match="unfreeze_every of '1 epoch' needs the updates of one epoch"):
        start_step(group(1, "1 epoch"), RunScale(100))


def test_a_late_group_has_its_own_warmup_and_ends_with_the_run():
    """Linear warmup over a tenth of 100 updates, then linear fall; from 60 on the same shape in 40 updates."""
    curve = schedule_curve("linear", num_training_steps=100, num_warmup_steps=10)
    late = [start_late(step, curve=curve, start=60, num_training_steps=100) for step in range(101)]
    assert late[:61] == [0.0] * 61
    assert late[62] == pytest.approx(0.5)  # 2 of 40 updates, as 5 of 100
    assert max(late) == late[64] == 1.0
    assert late[82] == pytest.approx(0.5, abs=0.01)  # half of the fall from 64 to 100
    assert late[100] == 0.0


def test_a_group_from_the_start_is_not_changed():
    curve = schedule_curve("cosine", num_training_steps=50, num_warmup_steps=5)
    assert [start_late(step, curve=curve, start=0, num_training_steps=50) for step in range(51)] == [
        curve(step) for step in range(51)
    ]


def test_a_group_that_joins_after_the_end_never_moves():
    assert start_late(100, curve=lambda _: 1.0, start=101, num_training_steps=100) == 0.0
    assert start_late(100, curve=lambda step: step, start=100, num_training_steps=100) == 0  # and nothing divides by 0


def three_groups() -> torch.optim.Optimizer:
    params = [torch.nn.Parameter(torch.zeros(1)) for _ in range(3)]
    late = [{}, group(1, "1 epoch"), group(2, "1 epoch")]
    rates = (1.0, 0.5, 0.1)
    return torch.optim.SGD([{"params": [p], "lr": lr, **extra} for p, lr, extra in zip(params, rates, late)])


def test_each_group_is_scheduled_from_its_own_start():
    optimizer = three_groups()
    scheduler = create_scheduler(
        "linear", optimizer, num_training_steps=30, num_warmup_steps=0.1, updates_per_epoch=10
    )
    rates = []
    for _ in range(30):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    first, second, third = zip(*rates)
    assert [first[step] for step in (0, 3)] == [0.0, 1.0]
    assert second[:11] == (0.0,) * 11
    assert max(second) == second[12] == 0.5  # a tenth of its 20 updates after it joined
    assert third[:21] == (0.0,) * 21
    assert max(third) == third[21] == pytest.approx(0.1)
    # The last update is the 29th of 30, the 28th (28.5, rounded) and the 27th of each group's own curve.
    assert (first[29], second[29], third[29]) == pytest.approx((1 / 27, 0.5 * 2 / 27, 0.1 * 3 / 27))


def test_a_resumed_schedule_goes_on_where_it_was_in_every_group():
    def run(optimizer, scheduler, updates) -> list[list[float]]:
        rates = []
        for _ in range(updates):
            rates.append(scheduler.get_last_lr())
            optimizer.step()
            scheduler.step()
        return rates

    def build():
        optimizer = three_groups()
        return optimizer, create_scheduler("cosine", optimizer, num_training_steps=30, updates_per_epoch=10)

    straight = run(*build(), 30)
    optimizer, scheduler = build()
    run(optimizer, scheduler, 14)
    saved = pickle.loads(pickle.dumps((optimizer.state_dict(), scheduler.state_dict())))
    optimizer, scheduler = build()
    optimizer.load_state_dict(saved[0])
    scheduler.load_state_dict(saved[1])
    assert run(optimizer, scheduler, 16) == straight[14:]
