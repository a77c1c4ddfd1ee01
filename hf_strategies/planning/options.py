"""A planning script's own options, taken out of a command line whose rest belongs to a job."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from hf_strategies.arguments.settings import convert, settings_of

Options = TypeVar("Options")

DEFAULT_RECIPE = "pretrain"  # of the job that is planned, which scripts/pretrain.py runs


def split_options(argv: Sequence[str], options: type[Options], problems: list[str]) -> tuple[Options, list[str]]:
    """Take from `argv` what `options` declares; an option whose type is a list may be given several times.

    Args:
        argv: Command line without the program's name.
        options: A dataclass of settings, as the topics of `hf_strategies.arguments` are.
        problems: Receives one line per mistake.

    Returns:
        The options, and the words that are left, in their order.
    """
    settings = {setting.name: setting for setting in settings_of(options)}
    given: dict[str, Any] = {}
    rest, words = [], list(argv)
    while words:
        word = words.pop(0)
        flag, equals, text = word.partition("=")
        setting = settings.get(flag[2:].replace("-", "_")) if flag.startswith("--") else None
        if setting is None:
            rest.append(word)
            continue
        if not equals:
            if not words or words[0].startswith("--"):
                problems.append(f"{flag}: expected a value, got none")
                continue
            text = words.pop(0)
        try:
            value = convert(setting, text)
        except ValueError as error:
            problems.append(f"{flag}: {error}")
            continue
        if "list" in setting.types:
            given.setdefault(setting.name, []).extend(value)
        elif setting.name in given:
            problems.append(f"{flag}: given twice")
        else:
            given[setting.name] = value
    return options(**given), rest


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read "0,1,2".

    Raises:
        ValueError: It is no list of different whole numbers of at least 0; the message says what was expected.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdigit() for word in words):
        raise ValueError(f"expected whole numbers such as 0,1,2, got {text!r}")
    seeds = tuple(map(int, words))
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"expected different seeds, got {text!r}")
    return seeds


def check_picture(path: Path) -> None:
    """Make sure that a picture can be written, and leave the place as it is.

    Raises:
        ValueError: It cannot, or its name promises another format; the message says why.
    """
    if path.suffix.lower() != ".png":
        raise ValueError(f"expected a name that ends in .png, got {path}")
    is_new = not path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}") from error
    if is_new:
        path.unlink()
