"""`resolved_config.yaml`: the settings a run was made with, so that it can be made again, and recognised."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from hf_strategies.arguments.layers import read_yaml
from hf_strategies.arguments.merging import is_replaced
from hf_strategies.arguments.parse import Arguments
from hf_strategies.arguments.tuning_topics import takes

FILE_NAME = "resolved_config.yaml"

# Where a run stands, what it shows and whom it tells: none of it changes what the run computes.
NOT_IDENTITY = {
    "output_dir", "resume_from_checkpoint", "run_name", "report_to", "project", "disable_tqdm", "log_level",
    "log_level_replica", "push_to_hub", "hub_model_id", "hub_token", "hub_private_repo", "hub_strategy",
    "preprocessing_num_workers", "use_cpu", "debug", "allow_change", "max_hours", "save_minutes", "save_at_steps",
    "hang_timeout", "save_total_limit",
}  # fmt: skip
SECRET = {"hub_token"}


def resolved_settings(arguments: Arguments) -> dict[str, Any]:
    """Every setting of ours and every host setting that some layer set, by name."""
    ours = {}
    for topic in arguments.topics:
        ours.update(
            {
                name: value
                for name, value in asdict(topic).items()
                if takes(arguments.job, name, arguments.task.task) and not is_replaced(name, value, arguments.values)
            }
        )
    return {**ours, **{name: value for name, value in arguments.training.items() if name not in SECRET}}


def write_resolved(arguments: Arguments, folder: Path, header: str) -> Path:
    """Write the resolved settings, each with the place that set it; the file is itself a valid YAML to run.

    Args:
        arguments: Of the run.
        folder: The run's output folder.
        header: Comment lines on top, without their "#".
    """
    lines = [f"# {line}" for line in header.splitlines()] + [f"recipe: {arguments.recipe}"]
    for name, value in resolved_settings(arguments).items():
        if name in ("output_dir", "resume_from_checkpoint"):
            continue
        written = yaml.safe_dump({name: value}, default_flow_style=True, width=10_000, sort_keys=False).strip()
        origin = arguments.values[name].where if name in arguments.values else "default"
        lines.append(f"{written[1:-1]}  # {origin}")
    path = folder / FILE_NAME
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_resolved(folder: Path) -> dict[str, Any] | None:
    """Read what an earlier run in `folder` was made with; None when there was none."""
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    return {name: written.value for name, written in read_yaml(path, str(path)).values.items()}


def identity_settings(arguments: Arguments) -> dict[str, Any]:
    """Every setting that changes what a run computes, by name, as JSON writes and reads it back."""
    settings = resolved_settings(arguments)
    return json.loads(json.dumps({name: value for name, value in settings.items() if name not in NOT_IDENTITY}))


def differences(earlier: Mapping[str, Any], arguments: Arguments) -> dict[str, str]:
    """Say in which settings a run differs from an earlier one, by name, of those that change what it computes."""
    now = identity_settings(arguments)
    names = [name for name in {**earlier, **now} if name not in NOT_IDENTITY | {"recipe"}]
    return {
        name: f"{name}: {earlier.get(name)!r} there, {now.get(name)!r} here"
        for name in names
        if earlier.get(name) != now.get(name)
    }
