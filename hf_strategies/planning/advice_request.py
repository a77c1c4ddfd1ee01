"""What advice was asked for, checked before anything is imported that takes seconds."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_strategies.arguments import Arguments, parse_arguments
from hf_strategies.arguments.layers import read_flags
from hf_strategies.arguments.parse import all_settings
from hf_strategies.arguments.settings import convert
from hf_strategies.arguments.topics import setting
from hf_strategies.arguments.tuning_topics import FINETUNE
from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.planning.contenders import CHECKPOINT, CONTENDERS, contenders_of
from hf_strategies.planning.options import split_options

SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
TASKS = {"text": "text-classification", "image": "image-classification", "clip": "clip-classification"}
READS = {"text": "text_from_scratch", "image": "from_scratch", "clip": "clips_from_scratch"}  # recipes
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".zip")


@dataclass
class AdviceOptions:
    """Advice."""

    budget: str = setting("10m", "How long to train in all: 90s, 10m, 2h.")
    num_seeds: int = setting(3, "How often each contender is trained on each share of the data.")
    model_name_or_path: str | None = setting(None, "A checkpoint to fine-tune beside the others.")
    contenders: str | None = setting(None, "Train these alone, such as linear,lstm (default: all that fit the data).")
    output_dir: str | None = setting(None, "Its folder (default: runs/advice-<n>, the next free n).")


@dataclass(frozen=True, kw_only=True)
class AdviceRequest:
    """Advice to be given.

    Args:
        options: As given.
        seconds: Of training, in all.
        kind: Of the data: "text", "image", "clip" or "sequence".
        words: The rest of the command line, which is the job's.
        base: The job's arguments, from which the rows are read.
        contenders: Names of those to be trained.
    """

    options: AdviceOptions
    seconds: float
    kind: str
    words: tuple[str, ...]
    base: Arguments
    contenders: tuple[str, ...]

    def job(self, *words: str) -> Arguments:
        """Return the arguments of a fine-tuning job on these rows; `words` begin with its recipe."""
        return _job(self.kind, words, self.words)


def parse_advice(argv: Sequence[str]) -> AdviceRequest:
    """Read and check the command line.

    Raises:
        UserError: One line per mistake, all of them at once.
    """
    problems: list[str] = []
    options, words = split_options(argv, AdviceOptions, problems)
    layer, loose = read_flags(words, all_settings(FINETUNE), problems)
    problems += [f"{word}: expected flags alone; name data with --train_file" for word in loose]
    seconds = 0.0
    try:
        seconds = read_time(options.budget)
    except ValueError as error:
        problems.append(f"--budget: {error}")
    if options.num_seeds < 1:
        problems.append(f"--num_seeds: expected at least 1, got {options.num_seeds}")
    for name in ("seed", "architecture"):
        if name in layer.values:
            problems.append(f"--{name}: contenders have their own; see --num_seeds and --contenders")
    task = layer.values.pop("task", None)
    written = layer.values.get("train_file")
    files = convert(all_settings(FINETUNE)["train_file"], written.value) if written else []
    kinds = {name: kind for kind, name in TASKS.items()}
    kind = kinds.get(str(task.value), "") if task else guess_kind(files)
    if not kind:
        assert task is not None
        problems.append(
            f"--task: expected one of {', '.join(kinds)}, got {task.value!r}{did_you_mean(task.value, kinds)}"
        )
    if not files and "dataset_name" not in layer.values and kind != "image":
        problems.append("train_file: expected a labelled file: a table or lines of texts, a folder of images, or .npz")
    known = [name for name in contenders_of(kind) if name != CHECKPOINT or options.model_name_or_path]
    if kind == "sequence" and options.model_name_or_path:
        problems.append("--model_name_or_path: no checkpoint reads sequences of numbers")
    wanted = [name.strip() for name in options.contenders.split(",")] if options.contenders else known
    for name in wanted:
        if name not in known:
            guess = did_you_mean(name, known)
            problems.append(f"--contenders: {name!r} is none of {', '.join(known)}{guess}")
    if problems:
        raise UserError("\n".join(problems))
    rest = tuple(_without_task(words))
    base = _job(kind, (READS.get(kind, READS["clip"]),), rest)
    chosen = tuple(name for name in known if name in wanted)
    if len(chosen) < 2:
        raise UserError(f"--contenders: expected two or more to choose from, got {', '.join(chosen) or 'none'}")
    return AdviceRequest(options=options, seconds=seconds, kind=kind, words=rest, base=base, contenders=chosen)


def read_time(text: str) -> float:
    """Read "90s", "10m", "2h" or "600" as seconds.

    Raises:
        ValueError: It is none of these, or not above 0.
    """
    found = re.fullmatch(r"\s*(\d+\.?\d*)\s*(s|m|min|h|)\s*", text)
    if found is None or float(found[1]) == 0:
        raise ValueError(f"expected a time above 0, such as 90s, 10m or 2h, got {text!r}")
    return float(found[1]) * SECONDS[found[2]]


def guess_kind(files: Sequence[str]) -> str:
    """Tell from files what kind of data they hold."""
    for path in map(Path, files):
        if path.suffix == ".npz":
            return "sequence" if _holds_sequences(path) else "clip"
        if path.is_dir() or path.suffix.lower() in PICTURES:
            return "image"
    return "text"


def _holds_sequences(path: Path) -> bool:
    """Tell whether a file is an archive of arrays, one of them called `sequences`."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "sequences.npy" in archive.namelist()


def is_transformer(name: str) -> bool:
    """Tell whether a contender is one."""
    return bool(CONTENDERS[name].facts["transformer"])


def _job(kind: str, first: Sequence[str], rest: Sequence[str]) -> Arguments:
    words = [first[0], *_unless_said(first[1:], rest), "--task", TASKS.get(kind, TASKS["clip"]), *rest]
    return parse_arguments(words, description="", job=FINETUNE, default_recipe="finetune")


def _unless_said(own: Sequence[str], rest: Sequence[str]) -> list[str]:
    said = {word.partition("=")[0] for word in rest}
    return [word for word in own if word.partition("=")[0] not in said]


def _without_task(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skips = False
    for word in words:
        if skips:
            skips = False
        elif word == "--task":
            skips = True
        elif not word.startswith("--task="):
            kept.append(word)
    return kept
