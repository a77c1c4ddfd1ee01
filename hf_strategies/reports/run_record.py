"""All that a report needs to know about a run, as plain values."""

import shlex
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hf_strategies.reports.comparison import Contender
from hf_strategies.reports.events import Event
from hf_strategies.reports.predictions import PredictionReport
from hf_strategies.reports.redaction import redact_command, redact_value

DEFAULT = "default"


class SettingRow(NamedTuple):
    """One setting as it was used, and the place that set it."""

    topic: str
    name: str
    value: Any
    where: str

    @property
    def is_default(self) -> bool:
        return self.where == DEFAULT


class AdapterBase(NamedTuple):
    """The checkpoint that an adapter belongs on, and how the host loads it.

    `name` is a folder or a name on the Hub, `loader` the host's class, `options` what its `from_pretrained` must be
    told besides.
    """

    name: str
    loader: str
    options: dict[str, Any]


@dataclass(kw_only=True)
class RunRecord:
    """A run as its reports tell it. Secrets in the settings and the command are taken out on the way in.

    Args:
        title: What was run, in a few words.
        location: Where the result is, as `from_pretrained` takes it: the output folder, or a name on the Hub.
        summary: One sentence about it.
        command: The words that rerun it.
        settings: Every setting as (topic, name, value, where); `where` is the flag ("--learning_rate"), the file and
            line ("recipe.yaml:3"), or "default".
        environment: As from `describe_environment`.
        data: Facts about the data: name to number or text.
        model: Facts about the model: name to number or text.
        results: What `all_results.json` holds.
        events: What `events.jsonl` holds.
        predictions: What a classifier made of its evaluation set; None where there is no such thing.
        comparison: Ways to solve the task, side by side.
        compared_by: The metric that they are compared by.
        notes: What a reader must know: warnings, skipped records, settings that were dropped.
        pipeline_tag: Task of the model, as the Hub names it.
        is_grey: Whether the model takes pictures of one channel.
        package: What of ours must be imported before the host knows the model's class; empty for the host's own.
        adapter_base: What the weights there are an adapter on; None where they are a whole model.
        base_model: Name on the Hub of the checkpoint that was trained further; empty when there was none.
        datasets: Names on the Hub of the data; files of one's own have none.
    """

    title: str
    location: str
    summary: str = ""
    command: list[str] = field(default_factory=list)
    settings: list[SettingRow] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    results: dict[str, float] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    predictions: PredictionReport | None = None
    comparison: list[Contender] = field(default_factory=list)
    compared_by: str = "accuracy"
    notes: list[str] = field(default_factory=list)
    pipeline_tag: str = "text-generation"
    is_grey: bool = False
    package: str = ""
    adapter_base: AdapterBase | None = None
    base_model: str = ""
    datasets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows = [SettingRow(*row) for row in self.settings]
        self.settings = [row._replace(value=redact_value(row.name, row.value)) for row in rows]
        self.command = redact_command(self.command)

    @property
    def command_line(self) -> str:
        """The command, quoted for a shell."""
        return shlex.join(self.command)

    @property
    def chosen_settings(self) -> list[SettingRow]:
        """Settings that somebody set, those of the command line first."""
        return sorted((row for row in self.settings if not row.is_default), key=lambda row: row.where[:2] != "--")

    @property
    def default_settings(self) -> list[SettingRow]:
        """Settings that nobody set."""
        return [row for row in self.settings if row.is_default]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The optimizer's parameter groups, as the last "run" event lists them; empty where none does."""
        listed = [
            event["param_groups"] for event in self.events if event["event"] == "run" and "param_groups" in event
        ]
        return listed[-1] if listed else []

    @property
    def samples(self) -> list[Event]:
        """The first and the last `samples` event that has any; one, or none, where there were no more."""
        taken = [event for event in self.events if event["event"] == "samples" and event["samples"]]
        return taken if len(taken) <= 2 else [taken[0], taken[-1]]
