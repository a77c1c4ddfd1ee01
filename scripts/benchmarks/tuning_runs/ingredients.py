"""What runs are made from: rows of text and checkpoints, each written once and known by what decides its content."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from hf_strategies.data.cache import built_once, digest
from hf_strategies.errors import UserError

KIND = "benchmarks"  # on the shelf of the cache


@dataclass(frozen=True)
class Ingredient:
    """A file or folder that runs read.

    Args:
        name: Its name.
        identity: Digest of what decides its content; known before it is made.
        source: Writes it to the path that it is given; or the path where it is already.
    """

    name: str
    identity: str
    source: Callable[[Path], None] | Path = field(compare=False, repr=False)

    def path(self) -> Path:
        """Return where it lies, made now if it is not there yet."""
        if isinstance(self.source, Path):
            return self.source
        make = self.source
        folder, _ = built_once(KIND, self.identity, lambda empty: make(empty / self.name))
        return folder / self.name


def rows_file(name: str, rows: Sequence[Mapping[str, Any]]) -> Ingredient:
    """Return the JSON lines of rows."""
    text = "".join(json.dumps(row) + "\n" for row in rows)

    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    return Ingredient(name, digest([name, text]), write)


def given(path: Path) -> Ingredient:
    """Return a file or folder that is there already, known by its bytes."""
    return Ingredient(path.name, content_of(path), path)


@cache
def content_of(path: Path) -> str:
    """Hash a file, or the files of a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return digest(part for file in files for part in (file.name, file.read_bytes().decode("latin-1")))


def data_at(name: str) -> Path:
    """Return the path of a real file or folder.

    Raises:
        UserError: It is not there.
    """
    folder = Path(os.environ.get("HF_STRATEGIES_DATA") or Path(__file__).parents[4] / "shared" / "data")
    if not (folder / name).exists():
        raise UserError(f"{folder / name}: no such data; name their folder in HF_STRATEGIES_DATA")
    return folder / name
