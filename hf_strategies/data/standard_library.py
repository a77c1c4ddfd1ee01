"""The embedded corpus: the source of the running Python's standard library, real text on every machine.

About 12 MB of code and docstrings in about 700 files, tests left out.
"""

import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path

from hf_strategies.data.documents import Document
from hf_strategies.errors import UserError

LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


def standard_library_files() -> list[Path]:
    """List the standard library's .py files, sorted by their path; tests and installed packages are left out."""
    root = Path(sysconfig.get_paths()["stdlib"])
    names = sorted(path.relative_to(root) for path in root.rglob("*.py"))
    return [root / name for name in names if LEFT_OUT.isdisjoint(name.parts[:-1])]


def standard_library_documents() -> Iterator[Document]:
    """Yield one document per file, decoded as Python itself would (PEP 263); a file that it could not is left out.

    Raises:
        UserError: A file cannot be read.
    """
    for path in standard_library_files():
        try:
            with tokenize.open(path) as file:
                text = file.read()
        except (SyntaxError, UnicodeDecodeError):
            continue
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
        if text:
            yield Document(text, str(path), 1)
