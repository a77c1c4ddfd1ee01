"""From a case to its row: found on disk, or made by a process of scripts/advise.py."""

import json
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from ..training_runs.measure import DECISIVE, OUTPUT, ROOT, Workshop, code_version, device_name, environment, finish
from ..training_runs.rows import Finished
from ..training_runs.trial import key_of
from .cases import CASES

SCRIPT = ROOT / "scripts" / "advise.py"
ADVISING = ("planning", "recipes", "tasks")  # what decides advice, besides what decides a run of pretraining


@dataclass(frozen=True, kw_only=True)
class AdviceRow(Finished):
    """Advice that was given; `contender` is the case's name.

    Args:
        results: What scripts/advise.py says in numbers.
    """

    results: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A case, and how much is done for it.

    Args:
        case: A key of `CASES`.
        settings: Flags of scripts/advise.py besides those of the case's data.
    """

    case: str
    settings: dict[str, Any]


class AdviceWorkshop(Workshop[Asked, AdviceRow]):
    """Asks for advice."""

    def key(self, trial: Asked) -> str:
        return key_of(trial.settings, corpus=trial.case, device=device_name())

    def measure(self, trial: Asked, folder: Path, lock: int) -> AdviceRow:
        words = [f"--{name}={value}" for name, value in trial.settings.items()]
        seconds = finish(trial.case, SCRIPT, [*CASES[trial.case].flags(folder), *words], folder, lock)
        results = json.loads((folder / OUTPUT / "advice.json").read_text(encoding="utf-8"))
        return AdviceRow(
            key=folder.name, contender=trial.case, seed=0, settings=trial.settings, results=results,
            wall_seconds=round(seconds, 1), device=device_name(), environment=environment(), code=advising_code(),
            finished=date.today().isoformat(),
        )  # fmt: skip


@cache
def advising_code() -> str:
    return code_version((*DECISIVE, *ADVISING), (SCRIPT, Path(__file__).with_name("cases.py")))
