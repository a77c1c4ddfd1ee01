from dataclasses import replace
from pathlib import Path

import pytest

from hf_strategies.checkpoints.rotation import Stored, most_kept, to_remove


def stored(*steps, unhealthy=(), torn=(), unproven=()):
    return [
        Stored(
            Path(f"checkpoint-{step}"),
            step,
            verified=step not in torn,
            healthy=None if step in unproven else step not in unhealthy,
        )
        for step in steps
    ]


@pytest.mark.parametrize(
    ("checkpoints", "limit", "best", "removed"),
    [
        (stored(10, 20, 30, 40), 3, None, [10]),
        (stored(40, 30, 20, 10), 2, None, [10, 20]),
        (stored(10, 20, 30), 1, None, [10]),  # two that are whole are always left
        (stored(10, 20, 30, 40), 2, 10, [20]),  # the best is kept, beside the newest two
        (stored(10, 20, 30), 3, 10, []),
        (stored(20, 30, 40), 2, 10, [20]),  # a best that is not there is not waited for
        (stored(10, 20, 30, unhealthy=[30]), 2, None, [30]),  # however new it is
        (stored(10, 20, 30, unhealthy=[20, 30]), 2, None, [20]),  # one healthy alone is no reserve
        (stored(10, 20, 30, torn=[30]), 2, None, []),  # what is not whole is not counted,
        (stored(10, 20, 30, 40, torn=[10]), 2, None, [20]),  # and left for whoever wants to look
        (stored(10, 20, 30, 40, unproven=[20, 30, 40]), 2, None, [30]),  # 10 is proven, and 20 the next to be
        (stored(10, 20, 30, 40, unproven=[30, 40]), 2, None, [10]),
        (stored(10, 20, 30, 40, unproven=[40], unhealthy=[20, 30]), 2, None, [20, 30]),
        (stored(10, 20, 30, unproven=[10, 20, 30]), 2, None, [20]),
        ([], 2, None, []),
    ],
)
def test_the_oldest_go_but_never_the_best_the_newest_two_or_a_healthy_one_for_an_unhealthy(
    checkpoints, limit, best, removed
):
    newest = max((item.step for item in checkpoints), default=0)
    assert [item.step for item in to_remove(checkpoints, limit=limit, newest=newest, best=best)] == removed


def test_saves_that_come_faster_than_their_proof_leave_one_that_is_proven():
    on_disk: list[Stored] = []
    for newest in range(1, 21):
        on_disk = [replace(item, healthy=item.step <= newest - 5 or None) for item in on_disk]
        on_disk += stored(newest, unproven=[newest])
        gone = to_remove(on_disk, limit=2, newest=newest, best=None)
        on_disk = [item for item in on_disk if item not in gone]
    assert [(item.step, item.healthy) for item in on_disk] == [(13, True), (17, None), (20, None)]


def test_what_a_run_that_went_back_has_left_behind_makes_room_and_never_the_new_ones():
    on_disk = stored(12, 16, 20)
    for newest, left in ((6, [6, 16, 20]), (8, [6, 8, 20]), (9, [6, 8, 9]), (10, [8, 9, 10])):
        on_disk += stored(newest)
        gone = to_remove(on_disk, limit=3, newest=newest, best=None)
        on_disk = [item for item in on_disk if item not in gone]
        assert sorted(item.step for item in on_disk) == left


def test_the_most_that_is_kept_is_what_a_long_run_has():
    for limit in (1, 2, 3, 4):
        for best in (None, 10):
            on_disk: list[Stored] = []
            for step in range(10, 110, 10):
                on_disk += stored(step)
                gone = to_remove(on_disk, limit=limit, newest=step, best=best)
                on_disk = [item for item in on_disk if item not in gone]
            assert len(on_disk) == most_kept(limit, keeps_best=best is not None)
    assert most_kept(None, keeps_best=True) == 3
