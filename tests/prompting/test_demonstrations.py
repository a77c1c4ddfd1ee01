from collections import Counter

from hf_strategies.prompting import draw_demonstrations

CLASSES = [0] * 40 + [1] * 10 + [2] * 3


def counts(rows: list[int]) -> Counter:
    return Counter(CLASSES[row] for row in rows)


def test_every_first_few_are_as_balanced_as_can_be():
    drawn = draw_demonstrations(CLASSES, 9, seed=0, draw=0)
    assert len(set(drawn)) == 9
    for shown in range(1, 10):
        found = [counts(drawn[:shown])[number] for number in range(3)]
        assert max(found) - min(found) <= 1


def test_a_class_that_has_no_more_rows_leaves_room_to_the_others():
    assert counts(draw_demonstrations(CLASSES, 11, seed=0, draw=0)) == {0: 4, 1: 4, 2: 3}
    assert len(draw_demonstrations(CLASSES, 100, seed=0, draw=0)) == len(CLASSES)


def test_fewer_demonstrations_are_the_first_of_more():
    assert draw_demonstrations(CLASSES, 4, seed=3, draw=1) == draw_demonstrations(CLASSES, 8, seed=3, draw=1)[:4]


def test_draws_and_seeds_differ_and_repeat():
    drawn = [draw_demonstrations(CLASSES, 6, seed=seed, draw=draw) for seed, draw in ((0, 0), (0, 1), (1, 0), (0, 0))]
    assert drawn[0] == drawn[3]
    assert len({frozenset(rows) for rows in drawn[:3]}) == 3  # other rows, not only another order


def test_the_order_of_the_classes_is_drawn_anew_in_each_round():
    drawn = draw_demonstrations(CLASSES, 9, seed=0, draw=0)
    rounds = {tuple(CLASSES[row] for row in drawn[start : start + 3]) for start in (0, 3, 6)}
    assert len(rounds) > 1
