"""`README.md`: the model card that goes with the weights, on the Hub or in a folder."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from hf_strategies.reports.confusion import mixup_line
from hf_strategies.reports.headlines import headlines
from hf_strategies.reports.run_record import RunRecord
from hf_strategies.reports.terminal import format_fact, format_value
from hf_strategies.reports.usage import usage

PICTURE = "![Loss](loss.png)\n\nMore figures, samples and every setting are in `report.html`."
LIMITS = (
    "The figures above are from held-out text of the same source and say little about any other. The model repeats "
    "what its data holds, errors and prejudice included, and was not trained to be safe or truthful: look at what it "
    "says before you rely on it."
)
PICTURE_LIMITS = (
    "The figures above are from held-out pictures of the same source: others, lit, framed or processed otherwise, "
    "may fare worse, and a picture that shows none of the classes is given one all the same. The model repeats what "
    "its data holds, errors and prejudice included: look at its mistakes before you rely on it."
)
SEES = ("image-classification", "video-classification")


def model_card(record: RunRecord) -> str:
    """Write the card of a trained model: Markdown with the front matter that the Hub reads."""
    settings = [(f"`{row.name}`", format_value(row.value), row.where) for row in record.chosen_settings]
    picture = PICTURE if any(event["event"] == "log" for event in record.events) else ""  # nothing to draw otherwise
    sections = [
        f"# {record.title}",
        record.summary,
        _section("Results", "\n\n".join(filter(None, [
            _table(("", "value"), headlines(record.results)), _mixups(record), picture,
        ]))),
        _section("How to use it", _fenced(usage(record), "python")),
        _section("Training data", _facts(record.data)),
        _section("Model", _facts(record.model)),
        _section("Settings", _table(("setting", "value", "set by"), settings)),
        _section("Run it again", _fenced(record.command_line, "bash") if record.command else ""),
        _section("Environment", _facts(record.environment)),
        _section("Limits", (PICTURE_LIMITS if record.pipeline_tag in SEES else LIMITS) + _bullets(record.notes)),
    ]  # fmt: skip
    return "\n\n".join([f"---\n{_front_matter(record)}---", *filter(None, sections)]) + "\n"


def _front_matter(record: RunRecord) -> str:
    library = "peft" if record.adapter_base else "transformers"
    data: dict[str, Any] = {"library_name": library, "pipeline_tag": record.pipeline_tag}
    if record.base_model:
        data["base_model"] = record.base_model
    if record.datasets:
        data["datasets"] = record.datasets
    return yaml.safe_dump({**data, "tags": ["hf_strategies", "generated_from_trainer"]}, sort_keys=False)


def _mixups(record: RunRecord) -> str:
    """Say which class is taken for another most often; nothing where none is."""
    found = record.predictions.confusion.mixups(1) if record.predictions else []
    return f"Most often, {_inline(mixup_line(found[0]))}." if found else ""


def _section(heading: str, content: str) -> str:
    return f"## {heading}\n\n{content}" if content else ""


def _bullets(notes: Sequence[str]) -> str:
    return "\n" + "".join(f"\n- {_inline(note)}" for note in notes) if notes else ""


def _facts(facts: Mapping[str, Any]) -> str:
    return _table(("", ""), list(facts.items())) if facts else ""


def _table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    lines = [headers, ["---"] * len(headers), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: Any) -> str:
    return _inline(format_fact(cell)).replace("|", "\\|")


def _inline(text: str) -> str:
    """Keep text on its line, and text: what looks like a tag stays visible."""
    return re.sub(r"\s+", " ", text).replace("<", "&lt;")


def _fenced(text: str, language: str) -> str:
    """Fence code with more backticks than it holds itself."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"
