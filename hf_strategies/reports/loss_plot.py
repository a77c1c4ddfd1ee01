"""`loss.png`: how a run went, in one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_strategies.reports.events import Event
from hf_strategies.reports.figure import dress_panel, new_figure, save_figure, set_caption
from hf_strategies.reports.palette import LIGHT
from hf_strategies.reports.series import (
    HEADROOM,
    Point,
    describe_missing,
    resumed_steps,
    series_of,
    smooth_series,
    thin,
    visible_range,
)
from hf_strategies.reports.terminal import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SLIM_PANELS = {"learning_rate": ("learning rate", "rate"), "grad_norm": ("gradient norm", "norm")}
BUCKETS = 700  # about one per pixel and a half of the panel's width


def draw_loss(events: Sequence[Event], path: Path, *, title: str = "Training loss") -> None:
    """Draw training and evaluation loss, and below them the learning rate as executed and the gradient norm.

    Values as logged are faint, their smoothed course is strong. All scales are linear; what is cut off is said below
    the picture. A panel without values is left out. 1600 pixels wide: sharp at half that width.

    Args:
        events: Of the run.
        path: The PNG to write.
        title: Heading of the picture.
    """
    slim = [name for name in SLIM_PANELS if series_of(events, name)]
    heights = [4.0] + [1.1] * len(slim)
    figure = new_figure(10.0, 1.4 + sum(heights), title=title)
    panels = list(figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    missing = _draw_losses(panels[0], events)
    for panel, name in zip(panels[1:], slim, strict=True):
        label, color = SLIM_PANELS[name]
        missing += _draw_slim(panel, series_of(events, name), label, LIGHT[color], noisy=name == "grad_norm")
    for panel in panels:
        _dress(panel, num_ticks=7 if panel is panels[0] else 3)
    _mark_resumed(panels, resumed_steps(events))
    panels[-1].set_xlabel("optimizer updates", color=LIGHT["muted"])
    figure.align_ylabels()
    set_caption(figure, "\n".join([describe_end(events), *missing]))
    save_figure(figure, path)


def describe_end(events: Sequence[Event]) -> str:
    """Say where the losses ended, and where the evaluation loss was best if that was earlier."""
    parts = []
    if training := smooth_series(series_of(events, "loss")):
        step, loss = training[-1]
        parts.append(f"training loss {format_number(loss)} at step {step:,} (smoothed)")
    if evaluations := series_of(events, "eval_loss"):
        step, loss = evaluations[-1]
        best_step, best = min(evaluations, key=lambda point: (point[1] != point[1], point[1]))
        earlier = f" (best {format_number(best)} at step {best_step:,})" if best < loss else ""
        parts.append(f"evaluation loss {format_number(loss)} at step {step:,}{earlier}")
    if bits := series_of(events, "eval_bits_per_byte"):
        parts.append(f"{format_number(bits[-1][1])} bits per byte")
    return ", ".join(parts) or "no loss was logged"


def _draw_losses(panel: "Axes", events: Sequence[Event]) -> list[str]:
    """Draw the main panel; return what it does not show."""
    training, evaluations = series_of(events, "loss"), series_of(events, "eval_loss")
    low, high = visible_range([value for _, value in training + evaluations])
    if training:
        _draw_noisy(panel, training, LIGHT["train"], "training")
    if evaluations:
        look: dict[str, Any] = {"marker": "o", "markersize": 5.5, "markeredgecolor": LIGHT["paper"]}
        panel.plot(*_columns(evaluations), color=LIGHT["eval"], linewidth=1.4, label="evaluation", **look)
    if training or evaluations:
        above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": 3}
        panel.legend(frameon=False, labelcolor=LIGHT["muted"], borderaxespad=0.2, **above)
    room = HEADROOM * ((high - low) or 1.0)
    panel.set_ylim(low - room, high + room)
    panel.set_ylabel("loss", color=LIGHT["muted"])
    labelled = (("training", training), ("evaluation", evaluations))
    return [f"{name}, {text}" for name, points in labelled for text in describe_missing(points, low, high)]


def _draw_slim(panel: "Axes", points: list[Point], label: str, color: str, *, noisy: bool) -> list[str]:
    """Draw one small panel that starts at zero; return what it does not show."""
    _, high = visible_range([value for _, value in points])
    if noisy:
        _draw_noisy(panel, points, color, label)
    else:
        panel.plot(*_columns(points), color=color, linewidth=1.8, marker=_marker(points))
    panel.set_ylim(0.0, (1.0 + 2 * HEADROOM) * (high if high > 0 else 1.0))
    panel.set_ylabel(label.replace(" ", "\n"), color=LIGHT["muted"])
    return [f"{label}, {text}" for text in describe_missing(points, 0.0, high)]


def _draw_noisy(panel: "Axes", points: list[Point], color: str, label: str) -> None:
    panel.plot(*_columns(points), color=color, alpha=0.28, linewidth=0.9, label=f"{label}, as logged")
    smoothed = smooth_series(points)
    panel.plot(*_columns(smoothed), color=color, linewidth=2.0, label=f"{label}, smoothed", marker=_marker(points))


def _mark_resumed(panels: Sequence["Axes"], steps: Sequence[int]) -> None:
    for step in steps:
        for panel in panels:
            panel.axvline(step, color=LIGHT["muted"], linewidth=0.9, linestyle=(0, (2, 3)))
        place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "va": "top", "fontsize": 8.5}
        panels[0].annotate(" resumed", (step, 1.0), color=LIGHT["muted"], **place)


def _dress(panel: "Axes", *, num_ticks: int) -> None:
    dress_panel(panel)
    panel.margins(x=0.01)
    panel.locator_params(axis="x", integer=True, min_n_ticks=1)
    panel.locator_params(axis="y", nbins=num_ticks)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(lambda value, _: format_number(value))


def _marker(points: Sequence[Point]) -> str:
    """A line through one point is not there; a dot is."""
    return "o" if len(points) == 1 else ""


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Return steps and values; matplotlib leaves a gap where a value is not finite."""
    kept = thin(points, BUCKETS)
    return [step for step, _ in kept], [value for _, value in kept]
