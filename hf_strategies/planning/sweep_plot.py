"""`sweep.png`: loss against the varied rate, and the basin in which every rate is as good as the best."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_strategies.planning.sweep_results import SettingResult, basin, count_settings, main_axis, tolerance
from hf_strategies.planning.sweep_space import as_number
from hf_strategies.reports import format_number
from hf_strategies.reports.figure import dress_panel, new_figure, save_figure, set_caption
from hf_strategies.reports.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE_COLORS = [LIGHT[name] for name in ("train", "eval", "rate", "norm")]  # of the best lines
GREY = "#b9c0c9"  # of all others
HEIGHT_SHOWN = 4.0  # of the distance from the best to the median: what is worse may be cut off
WORTH_CUTTING = 2.0  # times the height that would be shown: else all of it is
FEW = 4  # settings, of which none is cut off
ROOM = 0.06  # of the height shown, left free on either side
UNFINISHED = {"diverged": "x", "stopped": "v", "failed": "s"}


def draw_sweep(results: Sequence[SettingResult], path: Path, *, title: str, measure: str) -> None:
    """Draw the loss over the main setting, one line for each combination of the others.

    Points are means over seeds, bars one standard deviation; the best has a ring. Settings without a loss stand on the
    upper edge, and so do arrows where a loss lies above it. The shaded band is where the best line, interpolated, is
    as good as its best point. 1600 pixels wide.

    Args:
        results: Ranked; the first is finished.
        path: The PNG to write.
        title: Heading of the picture.
        measure: Name of the loss.
    """
    axis = main_axis(results)
    places = _places(results, axis)
    figure = new_figure(10.0, 6.0, title=title)
    panel = figure.subplots()
    dress_panel(panel)
    finished = [result for result in results if result.status == "finished"]
    best = finished[0]
    top = highest_shown([result.loss for result in finished], tolerance(results)[0])
    low, high = best.loss - best.spread, max(result.loss + result.spread for result in finished if result.loss <= top)
    room = ROOM * ((high - low) or 1.0)
    edge = high + 2 * room
    panel.set_ylim(low - room, edge)
    cut = [result for result in finished if result.loss > edge]
    _draw_lines(panel, finished, axis, places)
    _draw_on_the_edge(panel, [*cut, *results[len(finished) :]], axis, places, edge)
    chosen = ", ".join(f"{name} {text}" for name, text in best.values.items())
    caption = [f"best: {chosen}, {measure} {format_number(best.loss)}.", _draw_basin(panel, results, axis, measure)]
    if cut:
        worst = format_number(cut[-1].loss)
        caption.append(f"cut off above {format_number(edge)} (arrows): {count_settings(len(cut))}, up to {worst}.")
    _scale(panel, places)
    panel.set_xlabel(axis, color=LIGHT["muted"])
    panel.set_ylabel(measure.replace("_", " "), color=LIGHT["muted"])
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": 5}
    panel.legend(frameon=False, labelcolor=LIGHT["muted"], borderaxespad=0.2, **above)
    set_caption(figure, "\n".join(caption))
    save_figure(figure, path)


def _places(results: Sequence[SettingResult], axis: str) -> dict[str, float]:
    """Where each value of the main setting stands: at its number, or in order of appearance where one is no number."""
    texts = list(dict.fromkeys(result.values[axis] for result in results))
    numbers = {text: as_number(text) for text in texts}
    if all(number is not None for number in numbers.values()):
        return {text: number for text, number in numbers.items() if number is not None}
    return {text: float(place) for place, text in enumerate(sorted(texts))}


def highest_shown(losses: Sequence[float], margin: float) -> float:
    """Choose the highest loss to show: bad ones are left out where they would flatten all others, and only there.

    Args:
        losses: Of finished settings, ascending.
        margin: How much above the best a loss is as good.
    """
    best, median, worst = losses[0], losses[len(losses) // 2], losses[-1]
    height = HEIGHT_SHOWN * max(median - best, margin)
    if len(losses) <= FEW or worst - best < WORTH_CUTTING * height:
        return worst
    return max(loss for loss in losses if loss <= best + height)


def _draw_lines(panel: "Axes", finished: Sequence[SettingResult], axis: str, places: Mapping[str, float]) -> None:
    lines: dict[str, list[SettingResult]] = {}
    for result in finished:
        others = ", ".join(f"{name} {text}" for name, text in result.values.items() if name != axis)
        lines.setdefault(others, []).append(result)
    for rank, (others, members) in enumerate(lines.items()):
        color = LINE_COLORS[rank] if rank < len(LINE_COLORS) else GREY
        members = sorted(members, key=lambda result: places[result.values[axis]])
        xs = [places[result.values[axis]] for result in members]
        label = others if rank < len(LINE_COLORS) else ""
        style: dict[str, Any] = {"color": color, "linewidth": 2.0 if rank == 0 else 1.4, "zorder": 20 - min(rank, 9)}
        shape: dict[str, Any] = {"marker": "o", "markersize": 6, "markeredgecolor": LIGHT["paper"], "capsize": 3}
        spreads = [result.spread for result in members]
        bars = spreads if any(spreads) else None
        panel.errorbar(xs, [result.loss for result in members], yerr=bars, label=label, **style, **shape)
    ring: dict[str, Any] = {"marker": "o", "markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.5}
    best = finished[0]
    panel.plot(places[best.values[axis]], best.loss, color=LIGHT["ink"], linestyle="", label="best", zorder=21, **ring)


def _draw_on_the_edge(
    panel: "Axes", results: Sequence[SettingResult], axis: str, places: Mapping[str, float], edge: float
) -> None:
    """Mark what has no place in the picture: losses above it, and settings without a loss."""
    for status, marker in {"finished": "^", **UNFINISHED}.items():
        xs = [places[result.values[axis]] for result in results if result.status == status]
        if xs:
            look: dict[str, Any] = {"linestyle": "", "marker": marker, "markersize": 8, "clip_on": False, "zorder": 22}
            label = "cut off" if status == "finished" else status
            panel.plot(xs, [edge] * len(xs), color=LIGHT["muted"], label=label, markeredgewidth=2, **look)


def _draw_basin(panel: "Axes", results: Sequence[SettingResult], axis: str, measure: str) -> str:
    """Shade where a setting is as good as the best; say what that means."""
    margin, why = tolerance(results)
    panel.axhspan(results[0].loss, results[0].loss + margin, color=LIGHT["rate"], alpha=0.10, linewidth=0)
    found = basin(results, axis)
    if found is None:
        return f"shaded: {measure} within {format_number(margin)} of the best ({why})."
    low, high = found
    if low < high:
        panel.axvspan(low, high, color=LIGHT["rate"], alpha=0.10, linewidth=0)
    as_good = f"{measure} is within {format_number(margin)} of the best ({why})"
    return f"basin: {axis} {low:.3g} to {high:.3g}, where {as_good}."


def _scale(panel: "Axes", places: Mapping[str, float]) -> None:
    """Put the values that were tried under the axis, on a logarithmic scale where they span one."""
    values = sorted(places.items(), key=lambda item: item[1])
    low, high = values[0][1], values[-1][1]
    if low > 0 and high >= 3 * low and all(as_number(text) is not None for text in places):
        panel.set_xscale("log")
    panel.minorticks_off()
    shown = values if len(values) <= 12 else values[:: math.ceil(len(values) / 12)]
    panel.set_xticks([place for _, place in shown], [text for text, _ in shown])
