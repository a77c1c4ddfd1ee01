"""`lr_range.png`: loss against the rising rate, one line per seed, and the band."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_strategies.planning.lr_band import LearningRateBand, RangeTest
from hf_strategies.reports.figure import dress_panel, new_figure, save_figure, set_caption
from hf_strategies.reports.palette import LIGHT

SEED_COLORS = [LIGHT[name] for name in ("train", "eval", "norm", "speed")]


def draw_range_tests(
    tests: Sequence[RangeTest], seeds: Sequence[int], band: LearningRateBand, path: Path, *, title: str
) -> None:
    """Draw losses as logged (faint) and smoothed (strong), where each falls fastest and where it is lowest.

    Args:
        tests: One per seed.
        seeds: Their seeds.
        band: What was read off them.
        path: The PNG to write.
        title: Heading of the picture.
    """
    figure = new_figure(10.0, 6.0, title=title)
    panel = figure.subplots()
    dress_panel(panel)
    panel.axvspan(band.lowest, band.highest, color=LIGHT["rate"], alpha=0.07, linewidth=0, label="extremes")
    panel.axvspan(band.low, band.high, color=LIGHT["rate"], alpha=0.16, linewidth=0, label="band")
    lowest, first = [], []
    for number, (test, seed) in enumerate(zip(tests, seeds)):
        color = SEED_COLORS[number % len(SEED_COLORS)]
        course = test.smoothed()
        lowest.append(min(course))
        first.append(course[0])
        panel.plot(test.rates[: len(test.losses)], test.losses, color=color, alpha=0.25, linewidth=0.9)
        panel.plot(test.rates[: len(course)], course, color=color, linewidth=2.0, label=f"seed {seed}")
        for rate, marker in ((test.steepest, "v"), (test.minimum, "o")):
            look: dict[str, Any] = {"marker": marker, "markersize": 8, "markeredgecolor": LIGHT["paper"], "zorder": 5}
            panel.plot([rate], [course[test.rates.index(rate)]], color=color, **look)
    height = max(first) - min(lowest)
    panel.set_ylim(min(lowest) - 0.15 * height, max(first) + 0.25 * height)
    panel.set_xscale("log")
    panel.set_xlabel("learning rate", color=LIGHT["muted"])
    panel.set_ylabel("training loss", color=LIGHT["muted"])
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": 6}
    panel.legend(frameon=False, labelcolor=LIGHT["muted"], borderaxespad=0.2, **above)
    set_caption(
        figure,
        f"band {band.describe()}, extremes over the seeds {band.lowest:.2g} to {band.highest:.2g} "
        "(triangle: steepest descent, dot: minimum)",
    )
    save_figure(figure, path)
