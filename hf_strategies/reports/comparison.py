"""Ways to solve one task, side by side: what each scores, and what it costs."""

import math
import statistics
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from hf_strategies.reports.figure import dress_panel, new_figure, save_figure, set_caption
from hf_strategies.reports.palette import LIGHT
from hf_strategies.reports.terminal import format_count, format_duration, format_table

NORMAL_95 = 1.96
CAPTION_WIDTH = 120  # characters that a picture has room for


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to solve the task.

    Args:
        method: What it is, in a few words.
        scores: On the same rows, one for each draw or seed.
        trained_parameters: How many parameters learned; 0 where a model is only asked.
        training_seconds: Of one run.
        row_seconds: To answer one row.
        peak_memory: In bytes.
    """

    method: str
    scores: list[float] = field(default_factory=list)
    trained_parameters: int = 0
    training_seconds: float = 0.0
    row_seconds: float = 0.0
    peak_memory: int = 0

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores)

    @property
    def spread(self) -> float | None:
        """Standard deviation over draws or seeds; None where there is one alone."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None


def comparison_rows(contenders: Sequence[Contender], metric: str) -> tuple[list[list[str]], list[str]]:
    """Return the cells of the table, and its headers."""
    headers = ["method", metric.replace("_", " "), "+-", "runs", "learn", "training", "1,000 rows", "memory"]
    rows = [
        [
            one.method,
            f"{one.mean:.3f}",
            "-" if one.spread is None else f"{one.spread:.3f}",
            f"{len(one.scores)}",
            format_count(one.trained_parameters),
            format_duration(one.training_seconds) if one.training_seconds else "-",
            format_duration(1000 * one.row_seconds) if one.row_seconds else "-",
            format_memory(one.peak_memory) if one.peak_memory else "-",
        ]
        for one in contenders
    ]
    return rows, headers


def comparison_table(contenders: Sequence[Contender], metric: str) -> str:
    """Lay the table out for a terminal."""
    return format_table(*comparison_rows(contenders, metric))


def comparison_html(contenders: Sequence[Contender], metric: str) -> str:
    """Return the table for the report; nothing where there is nothing to compare."""
    if not contenders:
        return ""
    rows, headers = comparison_rows(contenders, metric)
    head = "".join(f"<th>{escape(name)}</th>" for name in headers)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="scores"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def draw_comparison(contenders: Sequence[Contender], path: Path, *, title: str, metric: str, caption: str) -> None:
    """Draw a bar for each contender, a line over it for its spread, and what it costs beside it.

    Args:
        contenders: From top to bottom.
        path: The PNG to write.
        title: Heading of the picture.
        metric: Name of the score.
        caption: What stands below.
    """
    figure = new_figure(10.0, 1.6 + 0.42 * len(contenders), title=title)
    panel = figure.subplots()
    dress_panel(panel)
    panel.grid(visible=False, axis="y")
    panel.grid(axis="x", color=LIGHT["line"], linewidth=0.8)
    places = range(len(contenders))
    colors = [LIGHT["eval" if one.trained_parameters else "train"] for one in contenders]
    panel.barh(places, [one.mean for one in contenders], color=colors, height=0.62)
    edge = 0.0
    for place, one in zip(places, contenders, strict=True):
        reach = one.mean + (one.spread or 0.0)
        if one.spread:
            panel.errorbar(one.mean, place, xerr=one.spread, color=LIGHT["ink"], capsize=3, linewidth=1.2)
        learned = f", {format_count(one.trained_parameters)} learn" if one.trained_parameters else ""
        label = f"  {one.mean:.3f}{learned}"
        panel.annotate(label, (max(reach, 0.0), place), va="center", fontsize=9, color=LIGHT["ink"])
        edge = max(edge, reach)
    panel.set_yticks(list(places), [one.method for one in contenders])
    panel.invert_yaxis()
    panel.set_xlim(min(0.0, *(one.mean for one in contenders)), 1.35 * edge or 1.0)
    panel.set_xlabel(metric.replace("_", " "), color=LIGHT["muted"])
    set_caption(figure, textwrap.fill(caption, CAPTION_WIDTH))
    save_figure(figure, path)


def sampling_error(accuracy: float, num_rows: int) -> float:
    """Return half the width of the 95% interval that an accuracy on so many rows leaves open."""
    return NORMAL_95 * math.sqrt(accuracy * (1 - accuracy) / num_rows)


def format_memory(size: float) -> str:
    """Write bytes: 812 MiB, 1.25 GiB."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
