"""Outcomes on disk, one JSON object per line: a sweep of hours goes on where it was stopped."""

import json
from collections.abc import Iterable
from pathlib import Path

from .outcomes import Outcome


class DrillLog:
    """Remembers drills by their keys.

    Args:
        path: The file; it appears with the first drill.
        fresh: Whether to forget what is in it.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path = path
        if fresh:
            path.unlink(missing_ok=True)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        whole, _, _ = text.rpartition("\n")  # a process that was killed leaves half a line
        rows = [json.loads(line) for line in whole.splitlines()]
        self._kinds = {row["key"]: row["kind"] for row in rows}
        self._outcomes = {row["key"]: Outcome(row["fault"], row["problem"]) for row in rows}
        if text != whole and not text.endswith("\n"):
            path.write_text(f"{whole}\n" if whole else "", encoding="utf-8")

    def get(self, key: str) -> Outcome | None:
        return self._outcomes.get(key)

    def add(self, kind: str, key: str, outcome: Outcome) -> Outcome:
        """Remember a drill that was done, and return its outcome."""
        self._kinds[key], self._outcomes[key] = kind, outcome
        self.path.parent.mkdir(parents=True, exist_ok=True)
        row = {"kind": kind, "key": key, "fault": outcome.fault, "problem": outcome.problem}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        return outcome

    def of(self, keys: Iterable[str]) -> dict[str, list[Outcome]]:
        """Group the outcomes of drills by their kind."""
        grouped: dict[str, list[Outcome]] = {}
        for key in keys:
            grouped.setdefault(self._kinds[key], []).append(self._outcomes[key])
        return grouped
