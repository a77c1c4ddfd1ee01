"""Finished runs on disk, one JSON object per line: what a long benchmark resumes from, and its evidence."""

import fcntl
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Row:
    """One finished run.

    Args:
        key: Names the run by its settings, corpus and device.
        contender, size, corpus, seed, updates: As of its trial.
        settings: What the recipe and the trial set.
        eval_loss: Of the last update, in nats per token; NaN where the run diverged.
        curve: (update, evaluation loss) as the run went.
        tokens_per_update: Global batch, in tokens.
        seconds_per_update: Median over the run's logs; evaluation and start-up are left out, the optimizer is not.
        mfu: Median model FLOPs utilisation in [0, 1], of the data sheet's peak; None where no peak is known.
        wall_seconds: Of the whole process.
        device: What the run's seconds belong to.
        environment: Machine and versions.
        code: Digest of the package's code that decides what is computed.
        finished: Day, ISO 8601.
    """

    key: str
    contender: str
    size: str
    corpus: str
    seed: int
    updates: int
    settings: dict[str, Any]
    eval_loss: float
    curve: list[list[float]]
    tokens_per_update: int
    seconds_per_update: float
    mfu: float | None
    wall_seconds: float
    device: str
    environment: dict[str, str]
    code: str
    finished: str

    @property
    def comparable_loss(self) -> float:
        """Loss to rank by: a diverged run comes last."""
        return self.eval_loss if math.isfinite(self.eval_loss) else math.inf


class RowFile:
    """Rows of one benchmark, to which several processes may append; what is no whole line is no row.

    Args:
        path: The file; it appears with the first row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read()

    def read(self) -> None:
        """Take in what the file holds by now."""
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.is_file() else []
        rows = [_read(line) for line in lines if line.endswith("\n")]
        self._rows = {row.key: row for row in rows}

    def get(self, key: str) -> Row | None:
        return self._rows.get(key)

    def of_device(self, device: str) -> list[Row]:
        return [row for row in self._rows.values() if row.device == device]

    def append(self, row: Row) -> None:
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


def _line(row: Row) -> str:
    """JSON has no NaN: a loss that is not finite is null."""
    values = asdict(row)
    values["eval_loss"] = _or_none(row.eval_loss)
    values["curve"] = [[step, _or_none(loss)] for step, loss in row.curve]
    return json.dumps(values, allow_nan=False) + "\n"


def _read(line: str) -> Row:
    values = json.loads(line)
    values["eval_loss"] = _or_nan(values["eval_loss"])
    values["curve"] = [[step, _or_nan(loss)] for step, loss in values["curve"]]
    return Row(**values)


def _or_none(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def _or_nan(loss: float | None) -> float:
    return math.nan if loss is None else loss
