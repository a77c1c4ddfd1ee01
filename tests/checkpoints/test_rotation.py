from pathlib import Path

import pytest

from hf_strategies.checkpoints.rotation import Stored, to_remove


def stored(*steps, unhealthy=(), torn=()):
    return [
        Stored(Path(f"checkpoint-{step}"), step, verified=step not in torn, healthy=step not in unhealthy)
        for step in steps
    ]


@pytest.mark.parametrize(
    ("checkpoints", "limit", "best", "removed"),
    [
        (stored(10, 20, 30, 40), 3, None, [10]),
        (stored(40, 30, 20, 10), 2, None, [10, 20]),
        (stored(10, 20, 30), None, None, []),
        (stored(10, 20, 30), 1, None, [10]),  # two that are whole are always left
        (stored(10, 20, 30, 40), 2, 10, [20]),  # the best is kept, beside the newest two
        (stored(10, 20, 30), 3, 10, []),
        (stored(10, 20, 30, unhealthy=[30]), 2, None, [30]),  # however new it is
        (stored(10, 20, 30, unhealthy=[20, 30]), 2, None, [20]),  # one healthy alone is no reserve
        (stored(10, 20, 30, torn=[30]), 2, None, []),  # what is not whole is not counted,
        (stored(10, 20, 30, 40, torn=[10]), 2, None, [20]),  # and left for whoever wants to look
        ([], 2, None, []),
    ],
)
def test_the_oldest_go_but_never_the_best_the_newest_two_or_a_healthy_one_for_an_unhealthy(
    checkpoints, limit, best, removed
):
    chosen = to_remove(checkpoints, limit=limit, best=best and Path(f"checkpoint-{best}"))
    assert [item.step for item in chosen] == removed
