"""Numbers and tables as people read them, in a terminal and in every report."""

import math
import re
from collections.abc import Sequence
from typing import Any

MAX_WIDTH = 100
ELLIPSIS = "..."
MIN_SHORTENED = 12

LOOKS_NUMERIC = re.compile(r"[-+]?\d|nan$|-?inf$|-?$")


def format_number(value: float) -> str:
    """Write a number with four significant digits, a whole one in full: 3.917, 13,652, 5,031,424, 1.5e-4."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}".replace("-0", "0")
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return re.sub(r"e([-+])0(\d)", r"e\1\2", f"{value:.4g}")


def format_count(value: float) -> str:
    """Write a large count with three significant digits: 812, 12.3 k, 5.03 M, 1.20 B, 3.00 T."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            scaled = value / size
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f} {unit}"
    return f"{value:.0f}"


def format_bytes(count: float) -> str:
    """Write an amount of memory with three significant digits: 0 MB, 12.3 MB, 1.20 GB, 640 GB."""
    size, unit = (1e9, "GB") if count >= 0.9995e9 else (1e6, "MB")
    scaled = count / size
    return f"{scaled:.{2 if 0 < scaled < 9.995 else 1 if 0 < scaled < 99.95 else 0}f} {unit}"


def format_duration(seconds: float) -> str:
    """Write a time with its two largest units: 8.4 s, 4 min 58 s, 2 h 05 min, 1 d 3 h."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h"


def format_clock(seconds: float) -> str:
    """Write a time as a clock shows it: 0:08, 4:58, 2:05:07."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def printable(text: str, encoding: str) -> str:
    """Write what a terminal would obey, or cannot show in its encoding, as escapes: a bell as \\x07."""
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def format_value(value: Any) -> str:
    """Write a setting exactly as it is, the way YAML spells it: true, none, 0.004, lr=0.1, a, b."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ", ".join(f"{key}={format_value(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(format_value, value))
    return str(value)


def format_fact(value: Any) -> str:
    """Write what was counted or measured: a number to be read, everything else as it is."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return format_number(value) if is_number else format_value(value)


def format_table(rows: Sequence[Sequence[Any]], headers: Sequence[str] | None = None) -> str:
    """Lay out rows in aligned columns, numbers to the right, at most 100 characters wide.

    A table that is too wide gets its widest text shortened, down to 12 characters; numbers are never shortened.

    Args:
        rows: Cells; a number is written by `format_number`, everything else as text on one line.
        headers: Names of the columns, underlined.

    Returns:
        Lines without a newline at the end; empty when there is nothing to show.
    """
    texts = [
        [" ".join(format_fact(cell).split()) for cell in row] for row in ([headers] if headers else []) + list(rows)
    ]
    if not texts:
        return ""
    bodies = list(zip(*texts[1 if headers else 0 :], strict=True)) or [() for _ in texts[0]]
    numeric = [bool(body) and all(map(LOOKS_NUMERIC.match, body)) for body in bodies]
    widths = _fit([max(map(len, column)) for column in zip(*texts, strict=True)], numeric)
    if headers:
        texts.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            _shorten(text, width).rjust(width) if right else _shorten(text, width).ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in texts
    )


def _fit(widths: list[int], numeric: list[bool]) -> list[int]:
    """Take what is too much from the widest column of text, again and again."""
    widths = list(widths)
    while sum(widths) + 2 * (len(widths) - 1) > MAX_WIDTH:
        texts = [index for index, right in enumerate(numeric) if not right and widths[index] > MIN_SHORTENED]
        if not texts:
            break
        widths[max(texts, key=lambda index: widths[index])] -= 1
    return widths


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - len(ELLIPSIS)] + ELLIPSIS
