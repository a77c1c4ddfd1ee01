"""The text of `--help`, generated from the settings and the shelves, so that it cannot drift."""

import shutil
import textwrap
from collections.abc import Iterable, Sequence

from hf_strategies.adapters import QUANTIZATIONS
from hf_strategies.arguments.checks import SHELVES
from hf_strategies.arguments.host import TOPIC as HOST_TOPIC
from hf_strategies.arguments.settings import UNKNOWN, Setting
from hf_strategies.augmentation import IMAGE_AUGMENTATIONS, IMAGE_MIXES, TEXT_AUGMENTATIONS
from hf_strategies.callbacks import AVERAGES

LISTED = {  # below the setting that takes their names
    **SHELVES,
    "quantization": QUANTIZATIONS,
    "text_augmentation": TEXT_AUGMENTATIONS,
    "image_augmentation": IMAGE_AUGMENTATIONS,
    "image_mix": IMAGE_MIXES,
    "averaging": AVERAGES,
}

INTRODUCTION = """\
The first word may name a recipe ({recipes}; default: {default}) or a YAML file of settings, which may name the
recipe it stands on (recipe: NAME). Flags override the file, the file overrides the recipe. Flags and YAML use the
same names. In brackets stands what {default} sets, or else the default. --debug shows the traceback of an error."""


def help_text(description: str, settings: dict[str, Setting], *, recipes: Sequence[str], default_recipe: str) -> str:
    """Describe a script, its recipes and every setting it takes, ours first."""
    width = min(110, shutil.get_terminal_size((100, 24)).columns)
    parts = [description.strip()]
    introduction = INTRODUCTION.format(recipes=", ".join(recipes), default=default_recipe)
    parts.append(textwrap.fill(introduction, width))
    topics: dict[str, list[Setting]] = {}
    for setting in settings.values():
        topics.setdefault(setting.topic, []).append(setting)
    for topic, listed in topics.items():
        if topic == HOST_TOPIC:
            topic = "Everything that transformers.TrainingArguments has"
        parts.append("\n".join([f"{topic}:", *_describe(listed, width)]))
    return "\n\n".join(parts)


def options_text(description: str, settings: Sequence[Setting]) -> str:
    """Describe a command that reads no recipe, and its options."""
    width = min(110, shutil.get_terminal_size((100, 24)).columns)
    return "\n\n".join([description.strip(), "\n".join(["Options:", *_describe(settings, width)])])


def _describe(listed: Iterable[Setting], width: int) -> Iterable[str]:
    for setting in listed:
        default = setting.default
        shown = "" if default is UNKNOWN or default in (None, "", [], {}) else f" [{_shown(default)}]"
        kind = "" if setting.types == ("bool",) else f" {_placeholder(setting)}"
        yield f"  --{setting.name}{kind}{shown}"
        yield from textwrap.wrap(setting.help, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
        if setting.name in LISTED:
            for entry in LISTED[setting.name]:
                if setting.choices and entry.name not in setting.choices:
                    continue
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
    if isinstance(default, list):
        return " ".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default).replace("\n", "\\n")
