"""Where settings come from: a recipe, a YAML file and the command line, each a layer over the one before."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hf_strategies.arguments.settings import NumberLoader, Setting, convert
from hf_strategies.arguments.tuning_topics import jobs_with
from hf_strategies.errors import UserError, did_you_mean

# What earlier versions of transformers or its example scripts had.
RETIRED = {
    "warmup_ratio": "write the share as warmup_steps, such as 0.1",
    "overwrite_output_dir": "a finished run is never written over; name another output_dir",
    "evaluation_strategy": "it is called eval_strategy",
    "block_size": "it is called max_seq_length",
    "no_cuda": "it is called use_cpu",
}

RECIPES = Path(__file__).parents[1] / "recipes"  # a folder for each job, called as its script is
SHIPPED = "recipe "  # how the places in shipped recipes begin


@dataclass(frozen=True)
class Written:
    """A value as a layer gives it, and the place it stands."""

    value: Any
    where: str


@dataclass
class Layer:
    """One source of settings: what it is called in messages, and what it sets."""

    label: str
    values: dict[str, Written] = field(default_factory=dict)


def recipe_names(job: str) -> list[str]:
    """List the recipes that ship for a job."""
    return sorted(path.stem for path in (RECIPES / job).glob("*.yaml"))


def recipe_summary(name: str, job: str) -> str:
    """Return the first line of a shipped recipe's header."""
    return find_recipe(name, job).read_text(encoding="utf-8").splitlines()[0].lstrip("# ")


def find_recipe(name: str, job: str) -> Path:
    """Locate a shipped recipe of a job by name, or a YAML file by path.

    Raises:
        UserError: Neither exists.
    """
    known = recipe_names(job)
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise UserError(f"{name}: no such file (a recipe is a YAML file, or one of: {', '.join(known)})")
        return Path(name)
    if name not in known:
        raise UserError(f"{unknown_recipe(name, job)} (known: {', '.join(known)}, or a path to a .yaml)")
    return RECIPES / job / f"{name}.yaml"


def shipped_layers(name: str, job: str) -> list[Layer]:
    """Read a shipped recipe, and before it the one that its own `recipe:` line names."""
    layer = read_yaml(find_recipe(name, job), f"{SHIPPED}{name}")
    base = layer.values.pop("recipe", None)
    return [*(shipped_layers(base.value, job) if base is not None else ()), layer]


def unknown_recipe(name: object, job: str) -> str:
    """Say that a job has no such recipe, and which name or which script may have been meant."""
    for path in sorted(RECIPES.glob("*/*.yaml")):
        if path.stem == name:
            return f"{name} is a recipe of scripts/{path.parent.name}.py, not of this job"
    return f"unknown recipe {name!r}{did_you_mean(name, recipe_names(job))}"


def read_yaml(path: Path, label: str) -> Layer:
    """Read one YAML mapping; each value remembers its line.

    Raises:
        UserError: The file is not YAML, not a mapping of names, or gives a name twice.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=NumberLoader)
    except OSError as error:
        raise UserError(f"{label}: cannot be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{label}:{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{label}: not YAML: {error}") from error
    layer = Layer(label)
    if root is None:
        return layer
    if not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        raise UserError(f"{label}:1: expected `name: value` lines, got {kind}")
    loader = NumberLoader("")
    for key_node, value_node in root.value:
        where = f"{label}:{key_node.start_mark.line + 1}"
        name = str(key_node.value)
        if name in layer.values:
            raise UserError(f"{where}: {name} is given twice (first at {layer.values[name].where})")
        try:
            value = loader.construct_object(value_node, deep=True)
        except yaml.YAMLError as error:
            raise UserError(f"{where}: not YAML: {error}") from error
        layer.values[name] = Written(value, where)
    return layer


def read_flags(argv: Sequence[str], settings: dict[str, Setting], problems: list[str]) -> tuple[Layer, list[str]]:
    """Read `--name value`, `--name=value`, `--name a b` for lists, and `--name` or `--no_name` for truth values.

    Returns:
        The layer, and the words that belong to no flag.
    """
    layer, loose = Layer("flags"), []
    words = list(argv)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            loose.append(word)
            continue
        if word == "--debug":  # ours: show tracebacks; the host's own is written --debug=underflow_overflow
            continue
        name, equals, text = word[2:].partition("=")
        name, flag = name.replace("-", "_"), f"--{name.replace('-', '_')}"
        negated = name.startswith("no_") and name not in settings and name[3:] in settings
        setting = settings.get(name[3:] if negated else name)
        given: Any = text if equals else None
        if not equals and not negated:
            given = _take_values(words, setting)
        if setting is None:
            problems.append(f"{flag}: {unknown_setting(name, settings)}")
        elif negated and (setting.types != ("bool",) or equals):
            problems.append(f"{flag}: only a truth value can be negated; {setting.name} is not one")
        elif given is None and "bool" not in setting.types:
            problems.append(f"{flag}: expected a value, got none")
        elif setting.name in layer.values:
            problems.append(f"{flag}: given twice")
        elif isinstance(given, list) and any(item.endswith((".yaml", ".yml")) for item in given):
            problems.append(f"{flag}: takes all that follows it; a YAML file of settings comes first on the line")
        else:
            layer.values[setting.name] = Written((not negated) if given is None else given, flag)
    return layer, loose


def unknown_setting(name: str, settings: dict[str, Setting]) -> str:
    """Say that there is no such setting, and what to write instead."""
    if name in RETIRED:
        return f"{name} is no setting: {RETIRED[name]}"
    if jobs := jobs_with(name):
        scripts = " and ".join(f"scripts/{job}.py" for job in jobs)
        return f"{name} is a setting of {scripts}, not of this job"
    return f"unknown setting {name!r}{did_you_mean(name, settings)}"


def _take_values(words: list[str], setting: Setting | None) -> Any:
    """Take from `words` what follows a flag: several for a list, at most one otherwise."""
    many = setting is not None and "list" in setting.types
    taken: list[str] = []
    while words and not words[0].startswith("--") and (many or not taken):
        if setting is not None and setting.types == ("bool",):
            try:
                convert(setting, words[0])
            except ValueError:
                break  # `--bf16 recipe.yaml`: the next word is not this flag's
        taken.append(words.pop(0))
    if not taken:
        return None
    return taken if many and len(taken) > 1 else taken[0]
