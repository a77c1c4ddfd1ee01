"""Pictures of the benchmarks, in the look of the reports."""

import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_strategies.reports.palette import LIGHT
from hf_strategies.reports.terminal import format_number

from .measure import device_name
from .race import Race

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = Path(__file__).parents[1]
INKS = {"ours": "train", "adamw": "eval", "torch_muon": "norm", "stock": "speed", "lamb": "rate"}

LEGEND: dict[str, Any] = {"frameon": False, "labelcolor": LIGHT["muted"], "fontsize": 9}


def picture_path(benchmark: str, condition: str = "") -> Path:
    """Where a benchmark's picture lies: every device has its own, and so has every condition it was run under."""
    name = re.sub(r"[^a-z0-9_]+", "-", f"{benchmark} {device_name()} {condition}".lower()).strip("-")
    return FOLDER / f"{name}.png"


def draw_races(races: Sequence[Race], path: Path) -> None:
    """Draw evaluation loss against updates, a panel per size and corpus, with the loss that tuned AdamW ends at."""
    sizes, corpora = (list(dict.fromkeys(values)) for values in zip(*((race.size, race.corpus) for race in races)))
    figure, panels = _figure(len(sizes), len(corpora), "Evaluation loss at equal tokens")
    for race in races:
        panel = panels[sizes.index(race.size)][corpora.index(race.corpus)]
        for name, runs in race.finals.items():
            steps, losses = zip(*runs[0].curve)
            panel.plot(steps, losses, color=LIGHT[INKS[name]], linewidth=1.8, marker="o", markersize=3.5, label=name)
        reach = race.to_adamw["ours"][0].shortest
        if reach is not None:
            steps, losses = zip(*reach.curve)
            look: dict[str, Any] = {"linestyle": (0, (1, 1.2)), "marker": "D", "markersize": 5, "markevery": [-1]}
            label = "ours, the shortest run to adamw's last loss"
            panel.plot(steps, losses, color=LIGHT[INKS["ours"]], linewidth=1.8, label=label, **look)
            # Every curve falls to its right, and the line of the target lies above: here is nothing to write over.
            place: dict[str, Any] = {"xytext": (-5, -5), "textcoords": "offset points", "ha": "right", "va": "top"}
            panel.annotate(f"{reach.updates}", (steps[-1], losses[-1]), color=LIGHT[INKS["ours"]], fontsize=9, **place)
        target = race.finals["adamw"][0].eval_loss
        panel.axhline(
            target, color=LIGHT["muted"], linewidth=0.9, linestyle=(0, (4, 3)), zorder=1, label="adamw's last loss"
        )
        _dress(panel, f"{race.size}, {race.corpus}, seed 0", "updates", "evaluation loss")
    named = {label: line for panel in figure.axes for line, label in zip(*panel.get_legend_handles_labels())}
    columns = 3 if len(corpora) == 1 else 6
    below: dict[str, Any] = {"loc": "outside lower left", "ncols": columns, "columnspacing": 1.4}
    figure.legend(list(named.values()), list(named), **LEGEND, **below)
    _save(figure, path)


def draw_losses(
    losses: Mapping[str, Mapping[float, float]], path: Path, *, title: str, xlabel: str, ticks: str
) -> None:
    """Draw evaluation loss against what was varied, by factors: a line per contender, a tick per value.

    Args:
        losses: Contender to value to loss.
        path: The picture.
        title, xlabel: Its words.
        ticks: How a value is written, as a format specification.
    """
    figure, ((panel,),) = _figure(1, 1, title)
    for name, points in losses.items():
        panel.plot(*zip(*sorted(points.items())), color=LIGHT[INKS[name]], linewidth=1.8, marker="o", label=name)
    panel.legend(**LEGEND)
    panel.set_xscale("log")
    panel.set_xticks(sorted({value for points in losses.values() for value in points}))
    panel.minorticks_off()
    _dress(panel, "", xlabel, "evaluation loss")
    panel.xaxis.set_major_formatter(lambda value, _: format(value, ticks))
    _save(figure, path)


def draw_scores(scores: Mapping[str, Mapping[str, Sequence[float]]], path: Path, *, title: str) -> None:
    """Draw every seed's score as a dot, a panel per task and a line per contender; a stroke stands at the mean.

    Args:
        scores: Task to contender to scores.
        path: The picture.
        title: Its words.
    """
    figure, (panels,) = _figure(1, len(scores), title)
    for panel, (task, by_contender) in zip(panels, scores.items(), strict=True):
        for place, values in enumerate(by_contender.values()):
            panel.plot(values, [place] * len(values), "o", color=LIGHT[INKS["ours"]], alpha=0.6, markersize=6)
            mean = statistics.fmean(values)
            panel.plot([mean, mean], [place - 0.3, place + 0.3], color=LIGHT["ink"], linewidth=1.8)
        panel.set_yticks(range(len(by_contender)), list(by_contender))
        panel.invert_yaxis()
        _dress(panel, task, "accuracy", "")
    _save(figure, path)


def draw_growth(seconds: Mapping[str, tuple[Mapping[int, float], bool]], path: Path) -> None:
    """Draw the time of a step by length, both by factors, a line per architecture: dashed ones have attention.

    Args:
        seconds: Architecture to its seconds by length, and whether it has attention.
        path: The picture.
    """
    figure, ((panel,),) = _figure(1, 1, "Time of a training step by tokens of a row")
    inks = [LIGHT[name] for name in ("train", "eval", "rate", "norm", "speed")]  # 5 inks and 4 markers: 20 looks
    for place, (name, (times, has_attention)) in enumerate(seconds.items()):
        look: dict[str, Any] = {"marker": "os^D"[place % 4], "markersize": 4.5, "linewidth": 1.6}
        dash = (0, (4, 2)) if has_attention else "-"
        points = zip(*[(length, 1e3 * time) for length, time in sorted(times.items())])
        panel.plot(*points, color=inks[place % 5], linestyle=dash, label=name, **look)
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xticks(sorted({length for times, _ in seconds.values() for length in times}))
    panel.minorticks_off()
    panel.legend(**LEGEND, ncols=2)
    _dress(panel, "dashed: attention", "tokens", "milliseconds")
    panel.yaxis.set_major_formatter(lambda value, _: format_number(value))
    _save(figure, path)


def _figure(num_rows: int, num_columns: int, title: str) -> "tuple[Figure, Any]":
    from matplotlib.figure import Figure  # half a second that a dry run does not need

    size = (max(7.5, 5.6 * num_columns), 0.6 + 3.9 * num_rows)
    figure = Figure(figsize=size, dpi=140, facecolor=LIGHT["paper"], layout="constrained")
    figure.suptitle(title, x=0.014, ha="left", fontsize=14, fontweight="bold", color=LIGHT["ink"])
    return figure, figure.subplots(num_rows, num_columns, squeeze=False)


def _dress(panel: "Axes", title: str, xlabel: str, ylabel: str) -> None:
    panel.set_title(title, loc="left", fontsize=10.5, color=LIGHT["ink"])
    panel.set_xlabel(xlabel, color=LIGHT["muted"])
    panel.set_ylabel(ylabel, color=LIGHT["muted"])
    panel.grid(axis="y", color=LIGHT["line"], linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(LIGHT["line"])
    panel.tick_params(which="both", color=LIGHT["line"], labelcolor=LIGHT["muted"], labelsize=9)
    panel.xaxis.set_major_formatter(lambda value, _: format_number(value))


def _save(figure: "Figure", path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=LIGHT["paper"])
