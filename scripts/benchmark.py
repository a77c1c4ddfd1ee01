"""Measure what the documentation claims; each benchmark writes its own section of benchmarks/RESULTS.md.

python scripts/benchmark.py data        tokenizing and packing, beside the recipe of transformers' run_clm.py
python scripts/benchmark.py overhead    time inside our trainer part and callbacks, over step time
"""

import importlib
import re
import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.reports import describe_environment, format_table
from hf_strategies.runs.script import script

FOLDER = Path(__file__).parent / "benchmarks"
RESULTS = FOLDER / "RESULTS.md"
TITLE = "# Results\n\nWritten by `scripts/benchmark.py`; each section says how to measure it again.\n"


@script
def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmarks that are named and record what they find."""
    names = list(argv or [])
    known = sorted(path.stem for path in FOLDER.glob("*.py"))
    if not names or {"--help", "-h"} & set(names):
        print(__doc__)
        return
    for name in names:
        if name not in known:
            raise UserError(f"unknown benchmark {name!r}{did_you_mean(name, known)} (known: {', '.join(known)})")
    for name in names:
        benchmark = importlib.import_module(f"benchmarks.{name}")
        rows = benchmark.run()
        headers = list(dict.fromkeys(name for row in rows for name in row))
        table = format_table([[row.get(name, "") for name in headers] for row in rows], headers)
        print(table, flush=True)
        record(name, (benchmark.__doc__ or "").strip(), table)


def record(name: str, description: str, table: str) -> None:
    """Put a benchmark's section into RESULTS.md, in place of its last one."""
    environment = describe_environment()
    machine = ", ".join(f"{key} {value}" for key, value in environment.items())
    command = shlex.join(["python", "scripts/benchmark.py", name])
    section = f"## {name}\n\n{description}\n\n```\n{table}\n```\n\n`{command}`, {date.today()}; {machine}.\n"
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.is_file() else TITLE
    parts = [part for part in re.split(r"(?m)^(?=## )", text) if not part.startswith(f"## {name}\n")]
    RESULTS.write_text("\n".join(part.strip() + "\n" for part in [*parts, section]), encoding="utf-8")


if __name__ == "__main__":
    main()
