"""A planned schedule to look at: in the terminal, and as a picture."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_strategies.planning.planned_curve import PlannedCurve
from hf_strategies.reports.figure import dress_panel, new_figure, save_figure, set_caption
from hf_strategies.reports.palette import LIGHT
from hf_strategies.reports.terminal import format_number

WIDTH, HEIGHT = 66, 12  # of the plot in characters; with its labels it fits 80 columns
COLORS = ("rate", "norm", "train", "eval")


def plot_text(curve: Mapping[int, float], *, width: int = WIDTH, height: int = HEIGHT) -> str:
    """Plot a curve in characters; a column covers all values of its updates, so that no jump is lost.

    Args:
        curve: Values by updates from 0, in their order, none of them negative; at least one in each column's.
        width, height: Of the plot in characters, without its labels.
    """
    updates, values = list(curve), list(curve.values())
    length, width = updates[-1] + 1, min(width, len(values))
    top = max(values) or 1.0
    columns = []
    for column in range(width):
        begin, end = (bisect_left(updates, edge * length // width) for edge in (column, column + 1))
        if column:
            begin -= 1  # neighbours share an update: the line has no gaps
        part = [round(value / top * (height - 1)) for value in values[begin:end]]
        columns.append((min(part), max(part)))
    lines = []
    for row in reversed(range(height)):
        label = format_number(top) if row == height - 1 else "0" if row == 0 else ""
        marks = "".join("*" if low <= row <= high else " " for low, high in columns)
        lines.append(f"{label:>10} |{marks}".rstrip())
    last = f"{length:,}"
    lines.append(" " * 11 + "+" + "-" * width)
    lines.append(" " * 12 + "1" + f"{last:>{max(width - 1, len(last) + 1)}}")
    return "\n".join(lines)


def draw_schedule(curves: Sequence[PlannedCurve], path: Path, *, title: str) -> None:
    """Draw every curve in a panel of its own, with dotted lines where it reaches its highest value and leaves it.

    Args:
        curves: Of one run.
        path: The PNG to write.
        title: Heading of the picture.
    """
    figure = new_figure(10.0, 1.6 + 3.4 * len(curves), title=title)
    panels = list(figure.subplots(len(curves), sharex=True, squeeze=False)[:, 0])
    for number, (panel, curve) in enumerate(zip(panels, curves, strict=True)):
        color = LIGHT[COLORS[number % len(COLORS)]]
        dress_panel(panel)
        updates, values = [update + 1 for update in curve.values], list(curve.values.values())
        panel.plot(updates, values, color=color, linewidth=2.0)
        panel.fill_between(updates, values, color=color, alpha=0.10, linewidth=0)
        first, last = curve.held
        place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "va": "top", "fontsize": 8.5}
        for update in sorted({first + 1, last + 1} - {1, curve.num_updates}):
            panel.axvline(update, color=LIGHT["muted"], linewidth=0.9, linestyle=(0, (2, 3)))
            panel.annotate(f" {update:,}", (update, 1.0), color=LIGHT["muted"], **place)
        panel.set_ylim(0.0, 1.12 * (max(values) or 1.0))
        panel.margins(x=0.01)
        panel.set_ylabel(curve.name.replace("_", " "), color=LIGHT["muted"])
        panel.locator_params(axis="x", integer=True)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter(lambda value, _: format_number(value))
    panels[-1].set_xlabel("optimizer updates", color=LIGHT["muted"])
    figure.align_ylabels()
    set_caption(figure, "\n".join(f"{curve.name}, {curve.scheduler}: {curve.describe()}" for curve in curves))
    save_figure(figure, path)
