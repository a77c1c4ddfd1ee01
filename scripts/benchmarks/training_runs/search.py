"""Which run to make next: searches over lengths and rates that know a run only by its loss."""

from collections.abc import Callable

PER_DECADE = 10
NUM_LENGTHS = 17  # down to 10^-1.6, a fortieth of the whole


def horizons(updates: int) -> list[int]:
    """List the lengths that are tried, rising: ten to the decade, from a fortieth of `updates` up to all of them."""
    return sorted({max(2, round(updates * 10 ** (-step / PER_DECADE))) for step in range(NUM_LENGTHS)})


def first_that(reaches: Callable[[int], bool], count: int, guess: int | None = None) -> int | None:
    """Find the first index of `range(count)` that reaches its aim; every one after it is taken to do so, too.

    Args:
        reaches: Costly: asked about log2(count) times, fewer near a good guess.
        count: Number of indices.
        guess: Where to begin; strides double from there.

    Returns:
        None when not even the last index does.
    """
    failed, reached = -1, count
    probe, stride = (count // 2, count) if guess is None else (guess, 1)
    while reached - failed > 1:
        if failed < probe < reached:
            if reaches(probe):
                reached = probe
            else:
                failed = probe
        if failed >= 0 and reached < count:
            probe = (failed + reached) // 2
        elif failed >= 0:
            probe = min(failed + stride, count - 1)
        else:
            probe = max(reached - stride, 0)
        stride *= 2
    return None if reached == count else reached


def length_reaching(target: float, below: tuple[int, float], at: tuple[int, float]) -> float:
    """Interpolate the length whose loss is `target`; a loss falls about in proportion to the log of the length.

    Args:
        target: Loss to reach.
        below: Longest length that does not reach it, and its loss.
        at: Shortest length that does, and its loss.
    """
    share = (below[1] - target) / (below[1] - at[1])
    return below[0] * (at[0] / below[0]) ** share


def best_rate(loss_at: Callable[[float], float], start: float, *, factor: float = 2.0, max_extra: int = 4) -> float:
    """Find the best rate of a geometric grid around `start`: go on from an end of it while that end is the best.

    Args:
        loss_at: Costly; infinite where a run diverged.
        start: Middle of the first three rates.
        factor: Ratio of neighbours.
        max_extra: Rates tried beyond the first three.
    """

    losses = {power: loss_at(start * factor**power) for power in (-1, 0, 1)}
    for _ in range(max_extra):
        best = min(losses, key=lambda power: losses[power])
        if best not in (min(losses), max(losses)):
            break
        beyond = best + (1 if best > 0 else -1)
        losses[beyond] = loss_at(start * factor**beyond)
    return start * factor ** min(losses, key=lambda power: losses[power])
