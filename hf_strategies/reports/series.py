"""Curves out of a run's events: taken, smoothed, thinned and framed.

Pure functions that every picture shares, so that the PNG and the HTML report tell the same story. A series is a list
of (step, value); a value may be NaN or infinite, and a picture shows a gap there.
"""

import math
from collections.abc import Sequence

from hf_strategies.reports.events import Event
from hf_strategies.reports.terminal import format_number

Point = tuple[float, float]

TRIMMED_SHARE = 0.02
MIN_POINTS_TO_TRIM = 8
EARLY_SHARE = 1 / 20
HEADROOM = 0.06  # of the visible range, left free beyond it


def series_of(events: Sequence[Event], name: str) -> list[Point]:
    """Return the values logged under `name`, in the order of their steps.

    Where a step was logged twice (a run that was resumed behind its log), the later value stands.
    """
    return sorted({event["step"]: float(event[name]) for event in events if name in event}.items())


def resumed_steps(events: Sequence[Event]) -> list[int]:
    """Return the steps at which a process took the run up again."""
    return sorted({event["step"] for event in events if event["event"] == "run" and event["step"] > 0})


def smooth(values: Sequence[float], half_life: float) -> list[float]:
    """Average exponentially over the past, divided by the weights that there are, as Adam corrects its moments.

    A loss falls fastest at first, where a long memory would lag far behind it: the weights of the first values halve
    sooner, after a twentieth of the values so far. A value that is not finite leaves a NaN in its place and nothing
    in the means.

    Args:
        values: Evenly spaced, oldest first.
        half_life: Values after which a weight is halved, once there are 20 times as many; above 0.
    """
    total = weight = 0.0
    means = []
    for count, value in enumerate(values, start=1):
        if not math.isfinite(value):
            means.append(math.nan)
            continue
        keep = 0.5 ** (1.0 / min(half_life, EARLY_SHARE * count))
        total, weight = keep * total + value, keep * weight + 1.0
        means.append(total / weight)
    return means


def smooth_series(points: Sequence[Point]) -> list[Point]:
    """Smooth a series with a half-life of 1/50 of its length."""
    means = smooth([value for _, value in points], half_life=max(1.0, len(points) / 50))
    return [(step, mean) for (step, _), mean in zip(points, means, strict=True)]


def thin(points: Sequence[Point], buckets: int) -> list[Point]:
    """Keep the lowest and the highest point of each bucket, so that no spike is lost.

    Args:
        points: The series; returned as it is while it has no more than two points per bucket.
        buckets: Groups of neighbouring points, all of one size.

    Returns:
        At most four points per bucket: its extremes, one that is not finite, and the ends of the series.
    """
    if len(points) <= 2 * buckets:
        return list(points)
    kept = {0, len(points) - 1}
    for bucket in range(buckets):
        inside = range(bucket * len(points) // buckets, (bucket + 1) * len(points) // buckets)
        finite = [index for index in inside if math.isfinite(points[index][1])]
        if finite:
            kept.add(min(finite, key=lambda index: points[index][1]))
            kept.add(max(finite, key=lambda index: points[index][1]))
        kept.update([index for index in inside if not math.isfinite(points[index][1])][:1])
    return [points[index] for index in sorted(kept)]


def visible_range(values: Sequence[float]) -> tuple[float, float]:
    """Choose the range of values to show, so that neither the first steps nor a spike flatten the rest.

    The outermost 2% on either side are set aside; what lies further from the rest than the rest is high is left out.
    Below 8 values nothing is.

    Returns:
        Lowest and highest value to show; (0, 1) when no value is finite.
    """
    ordered = sorted(value for value in values if math.isfinite(value))
    if not ordered:
        return 0.0, 1.0
    if len(ordered) < MIN_POINTS_TO_TRIM:
        return ordered[0], ordered[-1]
    aside = max(1, int(TRIMMED_SHARE * len(ordered)))
    body_low, body_high = ordered[aside], ordered[-1 - aside]
    height = body_high - body_low
    shown = [value for value in ordered if body_low - height <= value <= body_high + height]
    return shown[0], shown[-1]


def describe_missing(points: Sequence[Point], low: float, high: float) -> list[str]:
    """Say in one sentence each what of a series a picture from `low` to `high` does not show."""
    finite = [point for point in points if math.isfinite(point[1])]
    above = [point for point in finite if point[1] > high]
    below = [point for point in finite if point[1] < low]
    broken = [step for step, value in points if not math.isfinite(value)]
    sentences = []
    if above:
        step, value = max(above, key=lambda point: point[1])
        extent = f"{len(above):,} of {len(points):,} values, up to {format_number(value)} at step {step:,}"
        sentences.append(f"cut off above {format_number(high)}: {extent}.")
    if below:
        step, value = min(below, key=lambda point: point[1])
        extent = f"{len(below):,} of {len(points):,} values, down to {format_number(value)} at step {step:,}"
        sentences.append(f"cut off below {format_number(low)}: {extent}.")
    if broken:
        sentences.append(f"not finite: {len(broken):,} of {len(points):,} values, the first at step {broken[0]:,}.")
    return sentences
