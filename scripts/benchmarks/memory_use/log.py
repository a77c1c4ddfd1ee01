"""What processes took, on disk, one JSON object per line: a case that is there is not measured again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One process.

    Args:
        key: Its command line and its device.
        case: Its name.
        states, peak: Bytes.
        environment: Machine and versions.
        finished: Day, ISO 8601.
    """

    key: str
    case: str
    states: int
    peak: int
    environment: dict[str, str]
    finished: str


class MemoryLog:
    """Remembers processes by their keys.

    Args:
        path: The file; it appears with the first row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self._rows = {row.key: row for row in (Measured(**json.loads(line)) for line in lines)}

    def get(self, key: str) -> Measured | None:
        return self._rows.get(key)

    def add(self, row: Measured) -> Measured:
        """Remember a process, and return it."""
        self._rows[row.key] = row
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in self._rows.values()), encoding="utf-8")
        return row
