"""What a launched run has written down."""

import json
from pathlib import Path


def events(folder: Path, kind: str) -> list[dict]:
    """The events of one kind, in their order."""
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]
