"""The text of `--help`, generated from the settings and the shelves, so that it cannot drift."""

import shutil
import textwrap
from collections.abc import Iterable

from hf_strategies.arguments.checks import SHELVES
from hf_strategies.arguments.host import TOPIC as HOST_TOPIC
from hf_strategies.arguments.layers import recipe_names
from hf_strategies.arguments.settings import UNKNOWN, Setting

INTRODUCTION = """\
The first word may name a recipe ({recipes}; default: {default})
or a YAML file of settings, which may name the recipe it stands on (recipe: NAME). Flags override the file,
the file overrides the recipe. Flags and YAML use the same names. --debug shows the traceback of an error."""


def help_text(description: str, settings: dict[str, Setting], default_recipe: str) -> str:
    """Describe a script and every setting it takes, ours first."""
    width = min(110, shutil.get_terminal_size((100, 24)).columns)
    parts = [description.strip()]
    parts.append(INTRODUCTION.format(recipes=", ".join(recipe_names()), default=default_recipe))
    topics: dict[str, list[Setting]] = {}
    for setting in settings.values():
        topics.setdefault(setting.topic, []).append(setting)
    for topic, listed in topics.items():
        if topic == HOST_TOPIC:
            topic = "Everything that transformers.TrainingArguments has"
        parts.append("\n".join([f"{topic}:", *_describe(listed, width)]))
    return "\n\n".join(parts)


def _describe(listed: Iterable[Setting], width: int) -> Iterable[str]:
    for setting in listed:
        default = setting.default
        shown = "" if default is UNKNOWN or default in (None, "", [], {}) else f" [{_shown(default)}]"
        kind = "" if setting.types == ("bool",) else f" {_placeholder(setting)}"
        yield f"  --{setting.name}{kind}{shown}"
        yield from textwrap.wrap(setting.help, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
        if setting.name in SHELVES:
            for entry in SHELVES[setting.name]:
                yield " " * 8 + textwrap.shorten(f"{entry.name}: {entry.summary}", width - 8, placeholder=" ...")


def _placeholder(setting: Setting) -> str:
    if setting.choices and len(setting.choices) <= 6:
        return "{" + "|".join(setting.choices) + "}"
    names = {
        "int": "N",
        "float": "X",
        "bool": "true|false",
        "str": "TEXT",
        "list": "TEXT ...",
        "dict": "KEY=VALUE,...",
    }
    return "|".join(names[kind] for kind in setting.types)


def _shown(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)
