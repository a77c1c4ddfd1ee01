"""Finished runs on disk, one JSON object per line: what a long benchmark resumes from, and its evidence."""

import fcntl
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What is known of any finished run.

    Args:
        key: Names the run by its settings, its data and its device.
        contender, seed: As of its trial.
        settings: What the recipe and the trial set.
        wall_seconds: Of the whole process.
        device: What the run's seconds belong to.
        environment: Machine and versions.
        code: Digest of the package's code that decides what is computed.
        finished: Day, ISO 8601.
    """

    key: str
    contender: str
    seed: int
    settings: dict[str, Any]
    wall_seconds: float
    device: str
    environment: dict[str, str]
    code: str
    finished: str


@dataclass(frozen=True, kw_only=True)
class Row(Finished):
    """One finished run of pretraining.

    Args:
        size, corpus, updates: As of its trial.
        eval_loss: Of the last update, in nats per token; NaN where the run diverged.
        curve: (update, evaluation loss) as the run went.
        tokens_per_update: Global batch, in tokens.
        seconds_per_update: Median over the run's logs; evaluation and start-up are left out, the optimizer is not.
        mfu: Median model FLOPs utilisation in [0, 1], of the data sheet's peak; None where no peak is known.
    """

    size: str
    corpus: str
    updates: int
    eval_loss: float
    curve: list[list[float]]
    tokens_per_update: int
    seconds_per_update: float
    mfu: float | None

    @property
    def comparable_loss(self) -> float:
        """Loss to rank by: a diverged run comes last."""
        return self.eval_loss if math.isfinite(self.eval_loss) else math.inf


AnyRow = TypeVar("AnyRow", bound=Finished)


class KeptRows(Generic[AnyRow]):
    """Rows of one benchmark, to which several processes may append; what is no whole line is no row.

    Args:
        path: The file; it appears with the first row.
        kind: Of the rows.
    """

    def __init__(self, path: Path, kind: type[AnyRow]) -> None:
        self.path = path
        self.kind = kind
        self.read()

    def read(self) -> None:
        """Take in what the file holds by now."""
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.is_file() else []
        rows = [self.kind(**_with_nan(json.loads(line))) for line in lines if line.endswith("\n")]
        self._rows = {row.key: row for row in rows}

    def get(self, key: str) -> AnyRow | None:
        return self._rows.get(key)

    def of_device(self, device: str) -> list[AnyRow]:
        return [row for row in self._rows.values() if row.device == device]

    def append(self, row: AnyRow) -> None:
        """Add a row, in place of a line that a killed process left unfinished."""
        self._rows[row.key] = row
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(_line(row).encode())

    def forget(self, device: str) -> None:
        """Drop the rows of one device; other devices' stay."""
        self.read()
        self._rows = {key: row for key, row in self._rows.items() if row.device != device}
        if self.path.is_file():
            written = self.path.with_name(f".{self.path.name}.tmp")
            written.write_text("".join(map(_line, self._rows.values())), encoding="utf-8")
            written.replace(self.path)


class RowFile(KeptRows[Row]):
    """Rows of runs of pretraining."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Row)


MEASURED = ("eval_loss", "curve", "results")  # what of a row may not be finite


def _line(row: Finished) -> str:
    """JSON has no NaN: a measurement that is not finite is null."""
    values = asdict(row)
    return json.dumps(values | _replaced(values, _or_none), allow_nan=False) + "\n"


def _with_nan(values: dict[str, Any]) -> dict[str, Any]:
    return values | _replaced(values, lambda value: math.nan if value is None else value)


def _replaced(values: dict[str, Any], replace: Callable[[Any], Any]) -> dict[str, Any]:
    """Replace the numbers among what was measured, at any depth."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: walk(item) for name, item in value.items()}
        return [walk(item) for item in value] if isinstance(value, list) else replace(value)

    return {name: walk(values[name]) for name in MEASURED if name in values}


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
