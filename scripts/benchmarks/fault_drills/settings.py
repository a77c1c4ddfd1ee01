"""Mutated YAML files and flags: each is answered by lines and exit code 2, never by a traceback.

A mutant that happens to be right is answered, too: it names a corpus that is not there.
"""

import contextlib
import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hf_strategies.arguments.layers import find_recipe
from hf_strategies.arguments.parse import all_settings
from hf_strategies.arguments.tuning_topics import PRETRAIN

from .outcomes import Outcome

VALUES = (
    "", "none", "null", "true", "-1", "0", "1e400", "-inf", "nan", "1e-400", "9" * 400, "[]", "{}", "[1, 2", "{a: 1",
    "'", '"', ":", "- -", "&a *a", "!!python/object/apply:os.system ['true']", "\u202e", "\U0001f600", "a" * 5000,
    "../../etc/passwd", "2M tokens", "-3 epochs", "0.5.5", "[[[[]]]]", "{scheduler: linear}", "linear", "muon",
)  # fmt: skip
NASTY = ("\x00", "\t", "\ufeff", "\r", "\x1b[2J", "%", "@", "`", "?", "|", ">", "---", "...")


def drill(main: Callable[[Sequence[str]], Any], folder: Path, *, seed: int) -> Outcome:
    """Give the script one mutant, in this process.

    Args:
        main: The script.
        folder: Where mutants are written.
        seed: Decides the mutant.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(seed)
    missing = ["--train_file", str(folder / "not-there.txt"), "--output_dir", str(folder / "out")]
    path = folder / "mutant.yaml"
    words, described = _flags(draw) if seed % 2 else ([str(path)], _write_mutant(draw, path))
    said, status = io.StringIO(), None
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            main([*words, *missing])
    except SystemExit as exit_:
        status = exit_.code
    except BaseException as error:
        return Outcome(described, f"{type(error).__name__}: {error}"[:200])
    lines = [line for line in said.getvalue().splitlines() if line.strip()]
    if status != 2:
        return Outcome(described, f"exit code {status}")
    wrong = [line for line in lines if not line.startswith("error: ")]
    return Outcome(described, f"it said {wrong[0]!r}"[:200] if wrong or not lines else "")


def _flags(draw: random.Random) -> tuple[list[str], str]:
    """Make up to three flags, with names that are right, misspelt or senseless."""
    known = sorted(set(all_settings()) - {"output_dir", "train_file", "debug"})
    words: list[str] = []
    for _ in range(draw.randint(1, 3)):
        name = draw.choice(known)
        if draw.random() < 0.3:
            place = draw.randrange(len(name))
            name = name[:place] + draw.choice("_x-=") + name[place + 1 :]
        words += draw.choice(([f"--{name}", draw.choice(VALUES)], [f"--{name}={draw.choice(VALUES)}"], [f"--{name}"]))
    return words, " ".join(words)[:100]


def _write_mutant(draw: random.Random, path: Path) -> str:
    """Write the shipped recipe with something done to it, and say what."""
    lines = find_recipe("pretrain", PRETRAIN).read_text(encoding="utf-8").splitlines()
    settings = [number for number, line in enumerate(lines) if ":" in line and not line.startswith("#")]
    number = draw.choice(settings)
    name, _, value = lines[number].partition(":")
    kind = draw.randrange(7)
    if kind == 0:
        lines[number] = f"{name}: {draw.choice(VALUES)}"
    elif kind == 1:
        lines[number] = f"{name[:-1]}{draw.choice('xyz')}:{value}"
    elif kind == 2:
        lines.insert(number, f"{name}: {draw.choice(VALUES)}")  # given twice
    elif kind == 3:
        lines[number] = draw.choice(NASTY) + lines[number]
    elif kind == 4:
        lines = [line[: draw.randint(1, len(line))] if line else line for line in lines[: number + 1]]
    elif kind == 5:
        lines[number] = f"{draw.choice(sorted(all_settings()))}: {draw.choice(VALUES)}"
    content = "\n".join(lines).encode("utf-8", "surrogateescape")
    if kind == 6:
        place = draw.randrange(len(content))
        content = content[:place] + bytes([draw.randrange(256)]) + content[place + 1 :]
    path.write_bytes(content)
    return f"YAML mutant of kind {kind} at {name.strip()}"
