"""Which training rows a prompt shows, with their answers, before it asks."""

from collections.abc import Sequence

from hf_strategies.randomness import generator


def draw_demonstrations(classes: Sequence[int], count: int, *, seed: int, draw: int) -> list[int]:
    """Choose rows, each class as often as the others, as far as that goes.

    They come in rounds of one row of each class, the order in each round drawn anew: the first few of them are as
    balanced as all, so that a prompt that has no room for all of them leaves out the last. Fewer demonstrations of the
    same draw are the first of more.

    Args:
        classes: Number of each row's class.
        count: Rows to choose, at most all.
        seed: Of the run.
        draw: Number of this choice among several.

    Returns:
        Places in `classes`, in the order in which a prompt shows them.
    """
    shuffled = {}
    for number in sorted(set(classes)):
        rows = [row for row, found in enumerate(classes) if found == number]
        order = generator(seed, draw, number, "demonstrations").permutation(len(rows))
        shuffled[number] = [rows[place] for place in order.tolist()]
    chosen: list[int] = []
    for turn in range(max(map(len, shuffled.values()), default=0)):
        if len(chosen) >= count:
            break
        left = [rows[turn] for rows in shuffled.values() if turn < len(rows)]
        order = generator(seed, draw, turn, "order of demonstrations").permutation(len(left))
        chosen += [left[place] for place in order.tolist()]
    return chosen[:count]
