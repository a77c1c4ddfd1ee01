"""One run of a script that is to be measured: its settings, its command line, and the key that its row is found by."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.resolved import FILE_NAME, NOT_IDENTITY
from hf_strategies.arguments.tuning_topics import FINETUNE, PRETRAIN, SCORE
from hf_strategies.errors import UserError

from ..training_runs.measure import OUTPUT, ROOT, device_name, finish
from ..training_runs.rows import Finished
from ..training_runs.run_process import locked
from ..training_runs.trial import as_flag, key_of
from .ingredients import Ingredient

SCRIPTS = {job: ROOT / "scripts" / f"{job}.py" for job in (PRETRAIN, FINETUNE, SCORE)}

SECONDS = "seconds.txt"  # beside a checkpoint that is kept
COMMON: dict[str, Any] = {"save_total_limit": 1, "num_completions": 0}  # of jobs that train


@dataclass(frozen=True, kw_only=True)
class TunedRow(Finished):
    """One finished run.

    Args:
        part: The part of the benchmark that it belongs to.
        task: What was learned.
        results: What the run says of itself, and what was measured on what it left.
    """

    part: str
    task: str
    results: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run.

    Args:
        part, task, contender: What it is in the report.
        seed: Of the run.
        settings: Flags; an ingredient stands for its path, a list of them for theirs.
        recipe: The recipe that is named.
        chosen: The recipe that the script is to choose by itself where none is named.
        script: A key of `SCRIPTS`, or a script of the benchmark's own, whose settings nobody checks.
        inspect: Measures what the run left in its folder.
        inspects: What `inspect` measures and on what, so that another measurement is another trial.
        seconds: Guessed, for as long as no run of the kind has been measured.
        kept: The checkpoint that the run leaves, where others go on from it.
    """

    part: str
    task: str
    contender: str
    seed: int
    settings: Mapping[str, Any]
    recipe: str = ""
    chosen: str = ""
    script: str | Path = FINETUNE
    inspect: Callable[[Path], Mapping[str, float]] | None = field(default=None, compare=False, repr=False)
    inspects: str = ""
    seconds: float = 40.0
    kept: str = ""

    def __str__(self) -> str:
        return f"{self.part}: {self.task}, {self.contender}, seed {self.seed}"

    @property
    def all_settings(self) -> dict[str, Any]:
        common = COMMON if self.script in (PRETRAIN, FINETUNE) else {}
        return {**common, "seed": self.seed, **self.settings}

    def key(self) -> str:
        """Name the run by its settings, its data, what is measured and where."""
        script = self.script if isinstance(self.script, str) else self.script.name
        return key_of(
            self.published(), corpus=json.dumps([script, self.inspects, self.identities()]), device=device_name()
        )

    def published(self) -> dict[str, Any]:
        """Return what recipe and flags set, ingredients by their names.

        Raises:
            UserError: A setting is wrong; nothing has run by then.
        """
        if not isinstance(self.script, str):
            return {name: _replace(value, _name) for name, value in self.all_settings.items()}
        arguments = parse_arguments(
            self.words(_name), description="", default_recipe=self.chosen or self.script, job=self.script
        )
        return {name: item.value for name, item in arguments.values.items() if name not in NOT_IDENTITY}

    def identities(self) -> dict[str, Any]:
        """Return the digests of all ingredients."""
        found = {name: _replace(value, lambda part: part.identity) for name, value in self.all_settings.items()}
        return {name: value for name, value in found.items() if value != self.all_settings[name]}

    def words(self, path: Callable[[Ingredient], Any] = Ingredient.path) -> list[str]:
        """Write the run as a command line, its output folder left out.

        Args:
            path: Where an ingredient lies; the default makes it.
        """
        words = [self.recipe] if self.recipe else []
        for name, value in self.all_settings.items():
            found = _replace(value, path)
            words += [f"--{name}", *(map(str, found) if isinstance(value, list) else [as_flag(found)])]
        return words

    def carry_out(self, folder: Path, lock: int) -> tuple[dict[str, float], float]:
        """Run the script, and measure what it left.

        Args:
            folder: The run's own.
            lock: Of that folder, as of `run_process.locked`.

        Returns:
            Results, and the seconds of the whole process.
        """
        if self.kept:
            output = self.product().path()
            seconds = float((output.parent / SECONDS).read_text("utf-8"))
        else:
            output = folder / OUTPUT
            seconds = finish(str(self), self._script_path(), self.words(), folder, lock)
        if self.chosen:
            self._check_choice(output)
        results = json.loads((output / "all_results.json").read_text("utf-8"))
        return {**results, **(self.inspect(output) if self.inspect else {})}, round(seconds, 1)

    def product(self) -> Ingredient:
        """Return the checkpoint that the run leaves, kept for others that go on from it."""

        def make(path: Path) -> None:
            with locked(path.with_name("run")) as lock:
                seconds = finish(str(self), self._script_path(), self.words(), path.with_name("run"), lock)
            (path.with_name("run") / OUTPUT).rename(path)
            path.with_name(SECONDS).write_text(str(seconds), "utf-8")

        return Ingredient(self.kept, self.key(), make)

    def _check_choice(self, output: Path) -> None:
        stood_on = yaml.safe_load((output / FILE_NAME).read_text("utf-8"))["recipe"]
        if stood_on != self.chosen:
            raise UserError(f"{self}: expected the script to choose {self.chosen}, it chose {stood_on}")

    def _script_path(self) -> Path:
        return SCRIPTS[self.script] if isinstance(self.script, str) else self.script


def _replace(value: Any, of: Callable[[Ingredient], Any]) -> Any:
    """Put something in the place of every ingredient."""
    if isinstance(value, list):
        return [_replace(item, of) for item in value]
    return of(value) if isinstance(value, Ingredient) else value


def _name(ingredient: Ingredient) -> str:
    return ingredient.name
