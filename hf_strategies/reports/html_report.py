"""`report.html`: a run on one page that needs nothing else: no network, no script, no file beside it."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from hf_strategies.reports.charts import loss_chart, small_charts
from hf_strategies.reports.comparison import comparison_html
from hf_strategies.reports.events import Event
from hf_strategies.reports.group_lines import GROUP_HEADERS, group_lines
from hf_strategies.reports.guard_lines import guard_lines
from hf_strategies.reports.headlines import headlines
from hf_strategies.reports.learning_lines import learning_lines
from hf_strategies.reports.prediction_tables import class_table, confusion_table, mistakes_table
from hf_strategies.reports.predictions import PredictionReport
from hf_strategies.reports.run_record import RunRecord, SettingRow
from hf_strategies.reports.stylesheet import STYLESHEET
from hf_strategies.reports.terminal import format_fact, format_value
from hf_strategies.version import __version__

# The page refuses to load anything, whatever a sample or a setting may say; its pictures are in it.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_report(record: RunRecord, path: Path) -> None:
    """Write the report of a run: readable without a network, in the dark, and printed.

    Args:
        record: The run. Everything in it is shown as text, never as markup.
        path: The HTML file to write; about 100 kB, also after many thousand logged steps.
    """
    path.write_text(render_report(record), encoding="utf-8")


def render_report(record: RunRecord) -> str:
    """Return the page that `write_report` writes."""
    title = escape(record.title)
    body = [
        f'<header><h1>{title}</h1><p class="summary">{escape(record.summary)}</p></header>',
        _tiles(headlines(record.results)),
        _notes(record.notes),
        _section("Loss", loss_chart(record.events) + small_charts(record.events)),
        _section("What the losses show", _notes(learning_lines(record.events))),
        _section("Comparison", comparison_html(record.comparison, record.compared_by)),
        _predictions(record.predictions),
        _section("Updates that were not taken", _notes(guard_lines(record.events))),
        _section("Samples", _samples(record.samples)),
        _section("Run it again", _command(record.command_line)),
        _section("Settings of this run", _settings(record.chosen_settings)),
        _section("Parameter groups", _groups(record.param_groups)),
        _section("Data and model", _facts({"Data": record.data, "Model": record.model})),
        _section("Environment and results", _facts({
            "Environment": record.environment, "Results": record.results,
        })),
        _section("Settings left at their defaults", _defaults(record.default_settings)),
        f"<footer>Written by hf_strategies {__version__}.</footer>",
    ]  # fmt: skip
    return html_page(record.title, body)


def html_page(title: str, parts: Sequence[str]) -> str:
    """Return a page that loads nothing and has the look of every report.

    Args:
        title: As text.
        parts: As markup, from top to bottom; empty ones are left out.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLESHEET}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>{content}</section>" if content else ""


def _tiles(figures: Iterable[tuple[str, str]]) -> str:
    tiles = "".join(f'<div class="tile"><dt>{escape(name)}</dt><dd>{text}</dd></div>' for name, text in figures)
    return f'<dl class="tiles">{tiles}</dl>' if tiles else ""


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _command(line: str) -> str:
    return f'<pre class="command">{escape(line)}</pre>' if line else ""


def _predictions(made: PredictionReport | None) -> str:
    if made is None:
        return ""
    return (
        _section("Confusion matrix", confusion_table(made.confusion))
        + _section("Scores of each class", class_table(made.confusion))
        + _section("Worst mistakes", mistakes_table(made.mistakes))
    )


def _samples(taken: Sequence[Event]) -> str:
    """Show each prompt of the last event with what the model said before and after, and the text it comes from."""
    if not taken:
        return ""
    earlier = {sample["prompt"]: sample["completion"] for sample in taken[0]["samples"]}
    blocks = []
    for sample in taken[-1]["samples"]:
        said = []
        if len(taken) == 2 and sample["prompt"] in earlier:
            said.append((f"Step {taken[0]['step']:,}", earlier[sample["prompt"]]))
        said.append((f"Step {taken[-1]['step']:,}", sample["completion"]))
        if "reference" in sample:
            said.append(("The text itself", sample["reference"]))
        columns = "".join(f"<section><h3>{name}</h3><pre>{escape(text)}</pre></section>" for name, text in said)
        prompt = f'<div class="prompt"><h3>Prompt</h3><pre>{escape(sample["prompt"])}</pre></div>'
        blocks.append(f'<article class="sample">{prompt}<div class="said">{columns}</div></article>')
    return "".join(blocks)


def _settings(rows: Sequence[SettingRow]) -> str:
    if not rows:
        return ""
    lines = "".join(
        f'<tr><td class="topic">{escape(row.topic)}</td><td class="name">{escape(row.name)}</td>'
        f'<td>{escape(format_value(row.value))}</td><td class="where">{escape(row.where)}</td></tr>'
        for row in rows
    )
    head = "<thead><tr><th>Topic</th><th>Setting</th><th>Value</th><th>Set by</th></tr></thead>"
    return f"<table>{head}<tbody>{lines}</tbody></table>"


def _groups(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr>{_cells('td', line)}</tr>" for line in group_lines(rows))
    return f'<table class="groups"><thead><tr>{_cells("th", GROUP_HEADERS)}</tr></thead><tbody>{lines}</tbody></table>'


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)


def _defaults(rows: Sequence[SettingRow]) -> str:
    by_topic: dict[str, dict[str, Any]] = {}
    for row in rows:
        by_topic.setdefault(row.topic, {})[row.name] = format_value(row.value)
    tables = "".join(_pairs(topic, values) for topic, values in by_topic.items())
    return f'<div class="columns">{tables}</div>' if tables else ""


def _facts(groups: Mapping[str, Mapping[str, Any]]) -> str:
    tables = "".join(f"<div>{_pairs(name, values)}</div>" for name, values in groups.items() if values)
    return f'<div class="facts">{tables}</div>' if tables else ""


def _pairs(heading: str, values: Mapping[str, Any]) -> str:
    lines = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(format_fact(value))}</td></tr>" for name, value in values.items()
    )
    head = f'<thead><tr><th colspan="2">{escape(heading)}</th></tr></thead>'
    return f'<table class="pairs">{head}<tbody>{lines}</tbody></table>'
