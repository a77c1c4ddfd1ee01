"""Advice on one page: in the terminal, as a picture, and as HTML that needs no other file."""

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from hf_strategies.planning.advice_verdict import FACTORS, Advice, Standing, recommendation
from hf_strategies.reports.figure import dress_panel, new_figure, save_figure, set_caption
from hf_strategies.reports.html_report import html_page
from hf_strategies.reports.palette import LIGHT
from hf_strategies.reports.terminal import format_count, format_duration, format_table

PICTURE, PAGE, DATA = "advice.png", "advice.html", "advice.json"
COLORS = [LIGHT[name] for name in ("train", "eval", "rate", "norm", "speed", "muted", "ink")]
HEADERS = [
    "contender",
    "accuracy",
    "+-",
    *(f"with {factor}x" for factor in FACTORS),
    "training",
    "learned",
    "1,000 rows",
]
NOTES = (
    "+- is the deviation over seeds. With more data: 90% intervals of fitted learning curves, a guess that takes more "
    "rows to be like these.",
    "Nothing was tuned on the rows that accuracy is taken on.",
)


def report_advice(
    advice: Advice, folder: Path, *, title: str, data: str, transformers: Sequence[str], budget: float
) -> str:
    """Write the page, the picture and the numbers; return what the terminal is to show.

    Args:
        advice: To be told.
        folder: Where.
        title: Heading.
        data: The rows, in a sentence.
        transformers: Names of the contenders that are transformers.
        budget: Seconds that there were.
    """
    said = recommendation(advice, transformers)
    draw_advice(advice, folder / PICTURE, title=title)
    rows = [_cells(standing) for standing in advice.standings]
    (folder / DATA).write_text(json.dumps(_numbers(advice, said, budget), indent=1), encoding="utf-8")
    (folder / PAGE).write_text(_page(advice, folder / PICTURE, title, data, said, rows), encoding="utf-8")
    lines = [
        format_table(rows, HEADERS),
        "",
        *(f"{'advice' if place == 0 else '':<9} {line}" for place, line in enumerate(said)),
        *(f"warning   {line}" for line in advice.warnings),
        *(f"note      {line}" for line in NOTES),
    ]
    return "\n".join(lines)


def draw_advice(advice: Advice, path: Path, *, title: str) -> None:
    """Draw the errors over the examples trained on, and the bands of what is foretold; 1600 pixels wide.

    Args:
        advice: To be drawn.
        path: The PNG to write.
        title: Heading.
    """
    figure = new_figure(10.0, 6.0, title=title)
    panel = figure.subplots()
    dress_panel(panel)
    for place, standing in enumerate(advice.standings):
        look: dict[str, Any] = {"color": COLORS[place % len(COLORS)]}
        least = 0.5 / len(standing.row_accuracy)  # where no row was wrong, on a scale that knows no nought
        errors = np.maximum(standing.errors, least)
        panel.errorbar(
            standing.sizes, errors, yerr=standing.deviations, marker="o", capsize=3, label=standing.name, **look
        )
        if standing.foretold:
            sizes = [standing.sizes[-1], *(factor * standing.sizes[-1] for factor in FACTORS)]
            bands = [np.full(1, errors[-1]), *(standing.foretold[factor] for factor in FACTORS)]
            low, middle, high = (
                np.maximum([float(np.quantile(band, share)) for band in bands], least) for share in (0.05, 0.5, 0.95)
            )
            panel.plot(sizes, middle, linestyle="--", **look)
            panel.fill_between(sizes, low, high, alpha=0.12, linewidth=0, **look)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("examples trained on", color=LIGHT["muted"])
    panel.set_ylabel("share of wrong answers", color=LIGHT["muted"])
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": 7}
    panel.legend(frameon=False, labelcolor=LIGHT["muted"], borderaxespad=0.2, **above)
    set_caption(figure, "points: measured, with standard errors. dashed, shaded: foretold, with 90% of the fits.")
    save_figure(figure, path)


def _cells(standing: Standing) -> list[str]:
    told = []
    for factor in FACTORS:
        if factor in standing.foretold:
            middle, low, high = standing.interval(factor)
            told.append(f"{middle:.2f} ({low:.2f}-{high:.2f})")
        else:
            told.append("-")
    return [
        standing.name,
        f"{standing.accuracy:.3f}",
        f"{standing.seed_spread:.3f}",
        *told,
        format_duration(standing.seconds),
        format_count(standing.parameters),
        format_duration(1000 * standing.row_seconds),
    ]


def _page(
    advice: Advice, picture: Path, title: str, data: str, said: Sequence[str], rows: Sequence[Sequence[str]]
) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    def listed(texts: Sequence[str]) -> str:
        return f'<ul class="notes">{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul>' if texts else ""

    shown = base64.b64encode(picture.read_bytes()).decode("ascii")
    return html_page(title, [
        f'<header><h1>{escape(title)}</h1><p class="summary">{escape(data)}</p></header>',
        f"<section><h2>Advice</h2>{listed(said)}</section>",
        f'<figure><img alt="learning curves" style="width:100%" src="data:image/png;base64,{shown}"></figure>',
        f"<section><h2>Contenders</h2><table><thead>{line('th', HEADERS)}</thead>"
        f"<tbody>{''.join(line('td', row) for row in rows)}</tbody></table></section>",
        f"<section><h2>Signs to heed</h2>{listed(advice.warnings)}</section>" if advice.warnings else "",
        f"<section><h2>Notes</h2>{listed(NOTES)}</section>",
    ])  # fmt: skip


def _numbers(advice: Advice, said: Sequence[str], budget: float) -> dict[str, Any]:
    return {
        "advice": list(said),
        "chosen": advice.chosen.name,
        "as_good": list(advice.as_good),
        "budget_seconds": budget,
        "chances": {str(factor): chances for factor, chances in advice.chances.items()},
        "contenders": [
            {
                "name": standing.name,
                "sizes": list(standing.sizes),
                "errors": list(standing.errors),
                "standard_errors": list(standing.deviations),
                "accuracy": standing.accuracy,
                "seed_spread": standing.seed_spread,
                "training_gap": standing.gap,
                "seconds": standing.seconds,
                "row_seconds": standing.row_seconds,
                "parameters": standing.parameters,
                "is_whole": standing.is_whole,
                "foretold": {str(factor): standing.interval(factor) for factor in standing.foretold},
            }
            for standing in advice.standings
        ],
        "warnings": list(advice.warnings),
    }
