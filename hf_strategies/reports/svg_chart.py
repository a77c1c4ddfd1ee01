"""Line charts as inline SVG: sharp at any size, small, and coloured by the page they stand in.

Colours are CSS variables of the page (`--train`, `--muted`, ...), so one drawing serves light, dark and paper.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from hf_strategies.reports.series import Point, thin
from hf_strategies.reports.terminal import format_number

TOP, RIGHT, BOTTOM, LEFT = 10, 14, 24, 46  # margins around the plot, in pixels


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One series in a chart.

    Args:
        label: What it shows, for who points at it or listens to the page.
        points: The series; a value that is not finite is a gap.
        color: A CSS variable of the page, without its dashes.
        faint: Drawn thin and pale, behind what it was smoothed to.
        marked: Each point is a dot that shows its value when pointed at.
    """

    label: str
    points: Sequence[Point]
    color: str
    faint: bool = False
    marked: bool = False


@dataclass(frozen=True)
class Frame:
    """Where values land in a chart of `width` x `height` pixels."""

    width: int
    height: int
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, step: float) -> float:
        return LEFT + (self.width - LEFT - RIGHT) * _share(step, self.x_range)

    def y(self, value: float) -> float:
        return self.height - BOTTOM - (self.height - TOP - BOTTOM) * _share(value, self.y_range)


def line_chart(curves: Sequence[Curve], frame: Frame, *, title: str, marks: Sequence[int] = ()) -> str:
    """Draw `curves` in the given order; what lies outside the frame's range is cut off.

    Args:
        curves: What to draw.
        frame: Size and ranges.
        title: Name of the chart for who listens to the page; unlike any other on it.
        marks: Steps with a dotted line across the chart.

    Returns:
        An `<svg>` element.
    """
    clip = re.sub(r"\W+", "-", f"clip {title}")
    inner = f'x="{LEFT}" y="{TOP}" width="{frame.width - LEFT - RIGHT}" height="{frame.height - TOP - BOTTOM}"'
    return "".join([
        f'<svg viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{escape(title)}">',
        f'<clipPath id="{clip}"><rect {inner}/></clipPath>',
        _axes(frame),
        *(f'<path class="mark" d="M{frame.x(step):.1f} {TOP}V{frame.height - BOTTOM}"/>' for step in marks),
        f'<g clip-path="url(#{clip})">',
        *(_draw_line(curve, frame) for curve in curves),
        "</g>",
        *(_draw_dots(curve, frame) for curve in curves if curve.marked),
        "</svg>",
    ])  # fmt: skip


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Return round values (1, 2 or 5 times a power of ten apart) within [low, high], at most `count` + 1 of them."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    spacing = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / spacing - 1e-9), math.floor(high / spacing + 1e-9)
    return [index * spacing for index in range(first, last + 1)]


def _share(value: float, bounds: tuple[float, float]) -> float:
    return (value - bounds[0]) / (bounds[1] - bounds[0])


def _axes(frame: Frame) -> str:
    plot_end, base = frame.width - RIGHT, frame.height - BOTTOM
    parts = []
    for value in nice_ticks(*frame.y_range, count=max(2, frame.height // 40)):
        y = frame.y(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{plot_end}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{y + 3.5:.1f}" text-anchor="end">{format_number(value)}</text>')
    for step in nice_ticks(*frame.x_range, count=max(3, frame.width // 110)):
        if step == int(step):
            anchor = "end" if frame.x(step) > plot_end - 10 else "middle"
            x = min(frame.x(step), plot_end)
            parts.append(f'<text x="{x:.1f}" y="{base + 16}" text-anchor="{anchor}">{step:,.0f}</text>')
    return "".join(parts)


def _draw_line(curve: Curve, frame: Frame) -> str:
    path, pen_down = [], False
    for step, value in thin(curve.points, frame.width // 2):
        if math.isfinite(value):
            # "h0" leaves a dot where a point has no neighbour to be joined to.
            command, dot = ("L", "") if pen_down else ("M", "h0")
            path.append(f"{command}{frame.x(step):.1f} {frame.y(value):.1f}{dot}")
        pen_down = math.isfinite(value)
    kind = "faint" if curve.faint else "curve"
    return f'<path class="{kind}" style="--color:var(--{curve.color})" d="{"".join(path)}"/>'


def _draw_dots(curve: Curve, frame: Frame) -> str:
    low, high = frame.y_range
    return "".join(
        f'<circle class="dot" style="--color:var(--{curve.color})" cx="{frame.x(step):.1f}" cy="{frame.y(value):.1f}"'
        f' r="4"><title>{escape(curve.label)} {format_number(value)} at step {step:,}</title></circle>'
        for step, value in thin(curve.points, frame.width // 4)
        if low <= value <= high
    )
