"""Finished runs that stand beside prompts in a comparison: what they scored, what they cost, and on which rows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_strategies.adapters import ADAPTERS
from hf_strategies.arguments.resolved import NOT_IDENTITY, read_resolved
from hf_strategies.errors import UserError
from hf_strategies.reports import read_events
from hf_strategies.reports.comparison import Contender
from hf_strategies.runs.output_folder import EVENTS, read_results

SEEDS = {"seed", "data_seed", "recipe"}


def read_compared(
    folders: Sequence[str], *, metric: str, fingerprint: int, model: str
) -> tuple[list[Contender], list[str]]:
    """Read finished runs; those that differ by their seeds alone are one contender with a spread.

    Args:
        folders: Of scripts/finetune.py, or of scripts/score.py.
        metric: What is compared, without "eval_".
        fingerprint: Of the rows that everything is validated on.
        model: The checkpoint beside which they stand.

    Returns:
        A contender for each kind of run, in the order in which they were named, and what their reader should know.

    Raises:
        UserError: One line for each folder that cannot be compared.
    """
    groups: dict[str, list[tuple[str, dict[str, Any], dict[str, float]]]] = {}
    problems, notes = [], []
    for folder in dict.fromkeys(folders):
        settings, results = read_resolved(Path(folder)), read_results(Path(folder))
        if settings is None or results is None:
            problems.append(f"compare: {folder} holds no finished run of scripts/finetune.py")
        elif f"eval_{metric}" not in results:
            problems.append(f"compare: {folder} has no {metric} in its results: it was another task")
        elif results.get("validation_fingerprint") != fingerprint:
            problems.append(
                f"compare: {folder} was validated on other rows; name the same files, validation_share, "
                "max_eval_samples and (with max_eval_samples) seed or data_seed"
            )
        else:
            same = {name: value for name, value in settings.items() if name not in NOT_IDENTITY | SEEDS}
            groups.setdefault(json.dumps(same, sort_keys=True), []).append((folder, settings, results))
            if (other := settings.get("model_name_or_path")) != model:
                notes.append(f"{folder} stands on {other or settings.get('architecture')}, not on {model}")
            if was_resumed(Path(folder)):
                notes.append(f"{folder} was resumed: its training time is that of the last part")
    if problems:
        raise UserError("\n".join(problems))
    return [contender(runs, metric) for runs in groups.values()], notes


def contender(runs: Sequence[tuple[str, Mapping[str, Any], Mapping[str, float]]], metric: str) -> Contender:
    """Bring runs of one kind together: scores for each, times as means, memory as the most."""
    results = [found for _, _, found in runs]
    folder, settings, first = runs[0]

    def mean(name: str) -> float:
        return sum(found.get(name, 0.0) for found in results) / len(results)

    speed = mean("eval_samples_per_second")
    return Contender(
        method=f"{method_of(settings)}: {Path(folder).name}",
        scores=[found[f"eval_{metric}"] for found in results],
        trained_parameters=int(first["trained_parameters"]),
        training_seconds=mean("train_runtime"),
        row_seconds=1 / speed if speed else 0.0,
        peak_memory=int(max(found["peak_memory_bytes"] for found in results)),
    )


def method_of(settings: Mapping[str, Any]) -> str:
    """Say what kind of run settings describe."""
    adapter = settings.get("adapter")
    if "shots" in settings:
        return "prompts"
    if adapter:
        kind = "soft prompt" if ADAPTERS[adapter].facts["adapts"] == "input" else "adapter"
        base = f" on {settings['quantization']}" if settings.get("quantization") else ""
        return f"{kind}, {adapter}{base}"
    if settings.get("linear_probe"):
        return "linear probe"
    if settings.get("freeze"):
        return "partly frozen"
    return "full fine-tuning" if settings.get("model_name_or_path") else "from scratch"


def was_resumed(folder: Path) -> bool:
    """Tell whether a run went on from a checkpoint."""
    events = read_events(folder / EVENTS) if (folder / EVENTS).is_file() else []
    return any(event["event"] == "run" and event["step"] > 0 for event in events)
