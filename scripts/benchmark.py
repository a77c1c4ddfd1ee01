"""Measure what the documentation claims; each benchmark writes its own section of benchmarks/RESULTS.md.

python scripts/benchmark.py NAME
    run a benchmark and record what it finds on this kind of device
python scripts/benchmark.py NAME --help
    what it measures, and its options
python scripts/benchmark.py speedrun --dry_run
    what it would run, and how long that takes; a run that is on disk is not made again
"""

import ast
import importlib
import inspect
import re
import shlex
import textwrap
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import Findings, Table
from benchmarks.training_runs.measure import device_name, environment, made_on

from hf_strategies.arguments.layers import read_flags
from hf_strategies.arguments.settings import Setting, convert, parse_annotation
from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.reports import format_table
from hf_strategies.reports.redaction import redact_command
from hf_strategies.reports.terminal import format_value
from hf_strategies.runs.script import script

FOLDER = Path(__file__).parent / "benchmarks"
RESULTS = FOLDER / "RESULTS.md"
TITLE = "# Results\n\nWritten by `scripts/benchmark.py`; each section says how to measure it again.\n"


@script
def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark that is named and record what it finds."""
    words = list(argv or [])
    known = sorted(path.stem.replace("_", "-") for path in FOLDER.glob("*.py") if path.stem != "__init__")
    if not words or words[0] in ("--help", "-h"):
        width = max(map(len, known))
        print("\n".join([str(__doc__), *(f"{name:<{width}}  {summary_of(name)}" for name in known)]))
        return
    name = words[0].replace("_", "-")
    if name not in known:
        raise UserError(f"unknown benchmark {name!r}{did_you_mean(name, known)} (known: {', '.join(known)})")
    benchmark = importlib.import_module(f"benchmarks.{name.replace('-', '_')}")
    if {"--help", "-h"} & set(words[1:]):
        print(help_of(benchmark))
        return
    found = benchmark.run(**read_options(benchmark.run, words[1:]))
    if found is None:
        return
    findings = found if isinstance(found, Findings) else Findings([Table(found)])
    print("\n" + text_of(findings), flush=True)
    command = shlex.join(["python", "scripts/benchmark.py", *redact_command(words)])
    record(section(name, (benchmark.__doc__ or "").strip(), findings, command), RESULTS)


def summary_of(name: str) -> str:
    """Return the first line of a benchmark's docstring, without importing what it needs."""
    source = (FOLDER / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def help_of(benchmark: Any) -> str:
    """Say what a benchmark measures, and list its options with what `run` says about them."""
    said = dict(re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", inspect.getdoc(benchmark.run) or "", re.MULTILINE))
    lines = [(benchmark.__doc__ or "").strip(), ""]
    for name, parameter in inspect.signature(benchmark.run).parameters.items():
        lines.append(f"  --{name} [{_shown(parameter.default)}]")
        meaning = " ".join(said.get(name, "").split())
        lines += textwrap.wrap(meaning, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def read_options(run: Callable[..., Any], words: Sequence[str]) -> dict[str, Any]:
    """Read flags for the keyword arguments of `run`, each of the type that its annotation names.

    Raises:
        UserError: One line per flag that is unknown or of a wrong type.
    """
    types = {name: _type_of(parameter) for name, parameter in inspect.signature(run).parameters.items()}
    settings = {
        name: Setting(name=name, default=None, help="", topic="", **parse_annotation(outer))
        for name, (outer, _) in types.items()
    }
    problems: list[str] = []
    flags, loose = read_flags(words, settings, problems)
    problems += [f"{word}: expected --options" for word in loose]
    options = {}
    for name, written in flags.values.items():
        try:
            value = convert(settings[name], written.value)
            inner = types[name][1]
            if inner:
                item = Setting(name=name, default=None, help="", topic="", **parse_annotation(inner))
                value = tuple(convert(item, part) for part in value)
            options[name] = value
        except ValueError as error:
            problems.append(f"--{name}: {error}")
    if problems:
        raise UserError("\n".join(problems))
    return options


def _type_of(parameter: inspect.Parameter) -> tuple[str, str]:
    """Return an annotation as a setting's type, and the type of a tuple's members: a flag gives them as a list."""
    written = inspect.formatannotation(parameter.annotation)
    found = re.fullmatch(r"tuple\[(\w+), \.\.\.\]", written)
    return ("list", found[1]) if found else (written, "")


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return " ".join(map(_shown, default))
    return f"{default:g}" if isinstance(default, float) else format_value(default)


def text_of(findings: Findings) -> str:
    """Lay out tables and remarks for a terminal."""
    parts = [f"{table.caption}\n\n{layout(table)}".strip() for table in findings.tables]
    return "\n\n".join([*parts, *([] if not findings.remarks else ["\n".join(findings.remarks)])])


def layout(table: Table) -> str:
    headers = list(dict.fromkeys(name for row in table.rows for name in row))
    return format_table([[row.get(name, "") for name in headers] for row in table.rows], headers)


def section(name: str, description: str, findings: Findings, command: str) -> str:
    """Write one benchmark's section; what its heading names, such as the device, has a section of its own."""
    parts = [f"## {name} on {', '.join(filter(None, (device_name(), findings.condition)))}", description]
    for table in findings.tables:
        caption = f"{table.caption[:1].upper()}{table.caption[1:]}:\n\n" if table.caption else ""
        parts.append(f"{caption}```\n{layout(table)}\n```")
    parts += [f"![{caption}]({path.relative_to(FOLDER)})" for path, caption in findings.pictures]
    if findings.remarks:
        parts.append("\n".join(f"- {remark}" for remark in findings.remarks))
    parts.append(f"`{command}`, {findings.origin or made_on([date.today().isoformat()], [environment()])}.")
    return "\n\n".join(parts) + "\n"


def record(written: str, results: Path) -> None:
    """Put a section into the file, in place of the one with its heading; other sections keep their places."""
    title = written.partition("\n")[0]
    text = results.read_text(encoding="utf-8") if results.is_file() else TITLE
    parts = re.split(r"(?m)^(?=## )", text)
    places = [index for index, part in enumerate(parts) if part.partition("\n")[0] == title]
    if places:
        parts[places[0]] = written
    else:
        parts.append(written)
    results.write_text("\n".join(part.strip() + "\n" for part in parts), encoding="utf-8")


if __name__ == "__main__":
    main()
