"""How a run ends: its numbers on disk, its report, and a table."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import nn

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.host import TOPIC as HOST_TOPIC
from hf_strategies.arguments.resolved import FILE_NAME
from hf_strategies.arguments.tuning_topics import takes
from hf_strategies.reports import (
    AdapterBase,
    RunRecord,
    SettingRow,
    describe_environment,
    draw_loss,
    format_table,
    headlines,
    model_card,
    read_events,
    write_report,
)
from hf_strategies.reports.predictions import PredictionReport
from hf_strategies.runs.output_folder import EVENTS

PICTURE, REPORT, CARD = "loss.png", "report.html", "README.md"


def setting_rows(arguments: Arguments) -> list[SettingRow]:
    """List every setting of ours, and those of the host's that somebody set, with the place that set it."""
    ours = [
        ((topic.__doc__ or "").rstrip("."), item.name, getattr(topic, item.name))
        for topic in arguments.topics
        for item in fields(topic)
        if takes(arguments.job, item.name, arguments.task.task)
    ]
    named = {name for _, name, _ in ours}
    host = [(HOST_TOPIC, name, value) for name, value in arguments.training.items() if name not in named]
    return [
        SettingRow(topic, name, value, arguments.values[name].where if name in arguments.values else "default")
        for topic, name, value in ours + host
    ]


def record_run(
    arguments: Arguments,
    folder: Path,
    *,
    script: str,
    title: str,
    summary: str,
    data: dict[str, Any],
    model: dict[str, Any],
    results: dict[str, float],
    notes: list[str],
    pipeline_tag: str,
    package: str = "",
    predictions: PredictionReport | None = None,
    adapter_base: AdapterBase | None = None,
    weights: str = "",
) -> RunRecord:
    """Collect what a finished run's report and model card tell.

    Args:
        arguments: Of the run.
        folder: Its output folder.
        script: The script that ran, as its user would type it.
        title: What was run, in a few words.
        summary: One sentence about it.
        data: Facts about the data.
        model: Facts about the model.
        results: What `all_results.json` will hold.
        notes: Warnings, skipped records, settings that were replaced.
        pipeline_tag: Task of the model, as the Hub names it.
        package: As `own_package` names it.
        predictions: Of a classifier.
        adapter_base: What the weights are an adapter on; None where they are a whole model.
        weights: Where in the folder the weights are.
    """
    events = folder / EVENTS
    return RunRecord(
        title=title,
        location=str(folder / weights),
        summary=summary,
        command=["accelerate", "launch", script, str(folder / FILE_NAME), "--output_dir", f"{folder}-again"],
        settings=setting_rows(arguments),
        environment=describe_environment(),
        data=data,
        model=model,
        results=results,
        events=read_events(events) if events.is_file() else [],
        notes=notes,
        pipeline_tag=pipeline_tag,
        package=package,
        predictions=predictions,
        adapter_base=adapter_base,
        base_model=hub_name(arguments.model.model_name_or_path),
        datasets=[name for name in [hub_name(arguments.data.dataset_name)] if name],
    )


def own_package(model: nn.Module) -> str:
    """Name the package of ours that has a model's class, adapters taken off; empty where the class is the host's."""
    homes = {type(module).__module__.rpartition(".")[0] for module in model.modules()}
    return min((home for home in homes if home.startswith("hf_strategies.models.")), default="")


def hub_name(name: str | None) -> str:
    """Return the name if it is one on the Hub; a folder of one's own means nothing to others."""
    return name if name and not Path(name).exists() else ""


def write_reports(record: RunRecord, folder: Path) -> None:
    """Write the picture, the report and the model card of a finished run."""
    if any(event["event"] == "log" for event in record.events):
        draw_loss(record.events, folder / PICTURE, title=record.title)
    write_report(record, folder / REPORT)
    (folder / CARD).write_text(model_card(record), encoding="utf-8")


def closing_table(results: dict[str, float], folder: Path) -> str:
    """The last lines of a run: its numbers, and where its report is."""
    labels, texts = zip(*headlines(results))
    return f"\n{format_table([texts], labels)}\n\nreport  {folder / REPORT}"
