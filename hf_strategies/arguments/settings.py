"""What one setting is, and how a value that somebody wrote becomes a value of its type.

A setting's type is read from its annotation's text ("float | None"), so that the host's settings, which are read from
source without importing it, and our own dataclasses go through the same conversion.
"""

import ast
import json
import re
from dataclasses import MISSING, dataclass, fields
from typing import Any

import yaml

from hf_strategies.errors import did_you_mean

UNKNOWN = object()  # the default of a host setting that only the host can compute

PLAIN_TYPES = ("bool", "int", "float", "dict", "str", "list")  # in the order in which a value is tried against them
EXPECTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text (not an empty one)",
    "list": "texts (not empty ones)",
    "dict": "a mapping (KEY=VALUE,... or JSON)",
}
MOST_LISTED = 12  # choices, in the words for what was expected; more of them follow a guess
WORDS_FOR_BOOL = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting that a recipe, a YAML file or a flag may give.

    Args:
        name: As written in YAML; its flag is `--name`.
        types: What it may be, a subset of `PLAIN_TYPES`.
        default: Value when no layer sets it.
        help: One sentence or more for `--help`.
        topic: Heading under which it is listed.
        optional: Whether null is allowed.
        choices: The only values allowed, if not empty.
    """

    name: str
    types: tuple[str, ...]
    default: Any
    help: str
    topic: str
    optional: bool = False
    choices: tuple[str, ...] = ()


def parse_annotation(text: str, enums: dict[str, tuple[str, ...]] | None = None) -> dict[str, Any]:
    """Read an annotation's text into the `types`, `optional` and `choices` of a `Setting`.

    Args:
        text: For example "list[str] | None" or "Literal['a', 'b']".
        enums: Values of the enumerations that may be named in it.
    """
    types, choices, optional = set(), [], False
    for part in re.split(r"\s*\|\s*(?![^\[]*\])", text):
        head = part.split("[")[0]
        if part == "None":
            optional = True
        elif head == "Literal":
            values = ast.literal_eval(part[len("Literal") :])
            choices += [value for value in (values if len(values) > 1 else values[:1]) if isinstance(value, str)]
            types |= {type(value).__name__ for value in values}
        elif enums and head in enums:
            choices += enums[head]
            types.add("str")
        elif head in PLAIN_TYPES:
            types.add(head)
    ordered = tuple(kind for kind in PLAIN_TYPES if kind in types)
    return {"types": ordered, "optional": optional, "choices": tuple(choices)}


def settings_of(topic_class: type) -> list[Setting]:
    """List the settings that a dataclass of ours declares; its docstring's first line is their topic."""
    topic = (topic_class.__doc__ or "").strip().splitlines()[0].rstrip(".")
    listed = []
    for item in fields(topic_class):
        default = item.default if item.default_factory is MISSING else item.default_factory()
        assert isinstance(item.type, str), "a topic's module must keep its annotations as text"
        shape = parse_annotation(item.type)
        listed.append(Setting(name=item.name, default=default, help=item.metadata["help"], topic=topic, **shape))
    return listed


def convert(setting: Setting, written: Any) -> Any:
    """Turn what somebody wrote (a flag's text, or a YAML value) into a value of the setting's type.

    Raises:
        ValueError: It is of none of the setting's types, or not among its choices; the message says what was expected.
    """
    if written is None or (isinstance(written, str) and written.lower() in ("none", "null") and setting.optional):
        if setting.optional:
            return None
        raise ValueError(f"expected {_expected(setting)}, got nothing")
    if written is False and "no" in setting.choices:
        return "no"  # YAML 1.1 reads the word as a truth value
    unknown = None
    for kind in setting.types:
        try:
            value = _CONVERT[kind](written)
        except (ValueError, TypeError, OverflowError, yaml.YAMLError):
            continue
        if setting.choices and isinstance(value, str) and value not in setting.choices:
            unknown = value
            continue
        return value
    if unknown is not None and len(setting.choices) > MOST_LISTED:
        known = ", ".join(setting.choices)
        raise ValueError(f"there is no {unknown!r}{did_you_mean(unknown, setting.choices)} (known: {known})")
    raise ValueError(f"expected {_expected(setting)}, got {written!r}")


def _expected(setting: Setting) -> str:
    if setting.choices and len(setting.choices) <= MOST_LISTED:
        return "one of " + ", ".join(setting.choices)
    return " or ".join(EXPECTED[kind] for kind in setting.types)


def _to_bool(written: Any) -> bool:
    if isinstance(written, bool):
        return written
    if isinstance(written, str) and written.lower() in WORDS_FOR_BOOL:
        return WORDS_FOR_BOOL[written.lower()]
    raise ValueError


def _to_int(written: Any) -> int:
    if isinstance(written, bool):
        raise ValueError
    number = float(written) if not isinstance(written, int) else written
    if number != int(number):
        raise ValueError
    return (
        int(written) if isinstance(written, str) and written.lstrip("+-").replace("_", "").isdigit() else int(number)
    )


def _to_float(written: Any) -> float:
    if isinstance(written, bool):
        raise ValueError
    return float(written)


def _to_str(written: Any) -> str:
    if isinstance(written, str):
        if not written.strip():
            raise ValueError("empty")  # what an unset shell variable leaves
        return written
    if isinstance(written, bool) or not isinstance(written, int | float):
        raise ValueError
    return str(written)


def _to_list(written: Any) -> list[str]:
    items = written if isinstance(written, list) else [written]
    if not items:
        raise ValueError
    return [_to_str(item) for item in items]


def _to_dict(written: Any) -> dict[str, Any]:
    """Accept a mapping, a JSON object, or KEY=VALUE,KEY=VALUE (values as YAML reads them, so 2e-5 is a number)."""
    if isinstance(written, dict):
        if not all(isinstance(name, str) for name in written):
            raise ValueError
        return written
    if not isinstance(written, str):
        raise ValueError
    if written.lstrip().startswith("{"):
        value = json.loads(written)
        if not isinstance(value, dict):
            raise ValueError
        return value
    pairs = [pair.partition("=") for pair in re.split(r",(?=\s*\w+\s*=)", written) if pair.strip()]
    if not all(name.strip() and equals for name, equals, _ in pairs):
        raise ValueError
    return {name.strip(): yaml.load(value, Loader=NumberLoader) for name, _, value in pairs}


_CONVERT = {"bool": _to_bool, "int": _to_int, "float": _to_float, "str": _to_str, "list": _to_list, "dict": _to_dict}


class NumberLoader(yaml.SafeLoader):
    """YAML 1.1 reads 2e-5 as a text, since it has no dot; people who write recipes mean a number."""


NumberLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*)(\.[\d_]*)?([eE][-+]?\d+)$"),
    list("-+0123456789"),
)
