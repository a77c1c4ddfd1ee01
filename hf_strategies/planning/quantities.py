"""Large numbers as people write them: "7B" parameters, "1.5T" tokens, "1e21" FLOPs, "80GB"."""

import re

from hf_strategies.errors import UserError

MULTIPLIERS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
BYTES = {"mb": 1e6, "gb": 1e9, "tb": 1e12, "mib": 2.0**20, "gib": 2.0**30, "tib": 2.0**40}
NUMBER = r"\s*(\d[\d_]*\.?\d*(?:[eE]\+?\d+)?)\s*"


def read_count(option: str, text: str) -> float:
    """Read "7B", "1.5T", "30M", "1e21" or "12000".

    Args:
        option: Its name, for the message.
        text: What was given.

    Raises:
        UserError: It is none of these, or not above 0.
    """
    return _read(option, text, MULTIPLIERS, "([kKmMbBgGtT]?)", 'a number above 0, such as 1e21 or "7B"')


def read_bytes(option: str, text: str) -> float:
    """Read "80GB" or "24GiB".

    Args:
        option: Its name, for the message.
        text: What was given.

    Raises:
        UserError: It is neither, or not above 0.
    """
    return _read(option, text, BYTES, "([kKmMgGtT][iI]?[bB])", 'an amount of memory above 0, such as "80GB"')


def _read(option: str, text: str, multipliers: dict[str, float], unit: str, expected: str) -> float:
    found = re.fullmatch(f"{NUMBER}{unit}\\s*", text)
    multiplier = multipliers.get(found[2].lower()) if found else None
    value = float(found[1]) * multiplier if found and multiplier else 0.0
    if not 0 < value < float("inf"):
        raise UserError(f"{option}: expected {expected}, got {text!r}")
    return value
