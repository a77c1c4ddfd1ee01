"""What is written down about an update that was not taken: enough to live through it again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_strategies.reports.events import plain_json


def write_incident(folder: Path, step: int, facts: Mapping[str, Any]) -> Path:
    """Write `incident-<step>.json`; a run that comes there again writes over it.

    Args:
        folder: The run's; made where it is missing.
        step: The update that was not taken, counted from 1.
        facts: What happened, as JSON values; numbers that are not finite become text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"incident-{step}.json"
    path.write_text(json.dumps(plain_json({"step": step, **facts}), allow_nan=False) + "\n", encoding="utf-8")
    return path
