"""`compare.png`: what every setting changes in the loss, seed by seed, and in the time of a run."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_strategies.planning.compare_verdicts import Verdict
from hf_strategies.reports.figure import dress_panel, new_figure, save_figure, set_caption
from hf_strategies.reports.palette import LIGHT

COLORS = {"helps": LIGHT["rate"], "hurts": LIGHT["eval"]}  # of what is settled
CAPTION_WIDTH = 130  # characters that the picture has room for
NAME_WIDTH = 34


def draw_comparison(
    verdicts: Sequence[Verdict], path: Path, *, title: str, measure: str, caption: Sequence[str]
) -> None:
    """Draw differences from the first setting with their intervals, a dot for each seed, and the times beside them.

    Args:
        verdicts: The first setting's first.
        path: The PNG to write; 1600 pixels wide.
        title: Heading.
        measure: Name of the loss.
        caption: Lines below.
    """
    compared = [verdict for verdict in verdicts if verdict.difference is not None]
    figure = new_figure(10.0, 2.4 + 0.5 * len(compared), title=title)
    losses, times = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    for panel in (losses, times):
        dress_panel(panel)
        panel.grid(visible=False, axis="y")
        panel.grid(axis="x", color=LIGHT["line"], linewidth=0.8)
    losses.axvline(0.0, color=LIGHT["ink"], linewidth=1.2)
    times.axvline(1.0, color=LIGHT["ink"], linewidth=1.2)
    for place, verdict in enumerate(compared):
        found = verdict.difference
        assert found is not None
        look: dict[str, Any] = {"color": COLORS.get(verdict.word, LIGHT["muted"])}
        if len(found.values) > 1:
            losses.plot([found.low, found.high], [place, place], linewidth=3, alpha=0.35, **look)
        losses.plot(found.values, [place] * len(found.values), "o", markersize=3.5, alpha=0.6, **look)
        losses.plot(found.mean, place, "D", markersize=7, **look)
        times.barh(place, verdict.time - 1, left=1.0, height=0.5, alpha=0.7, **look)
    names = [textwrap.shorten(verdict.name, NAME_WIDTH, placeholder="...") for verdict in compared]
    losses.set_yticks(range(len(compared)), names)
    losses.invert_yaxis()
    losses.set_xlabel(f"change of {measure.replace('_', ' ')}; left of the line is better", color=LIGHT["muted"])
    times.set_xlabel("time of a run, as a multiple", color=LIGHT["muted"])
    set_caption(figure, "\n".join(textwrap.fill(line, CAPTION_WIDTH) for line in caption))
    save_figure(figure, path)
