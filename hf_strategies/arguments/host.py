"""The settings of `transformers.TrainingArguments`, read from its source.

Importing it takes about four seconds; parsing its file takes a tenth of one. So `--help` and a refused command line
answer at once, and what they say is always true of the version that is installed.
"""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

from hf_strategies.arguments.settings import UNKNOWN, Setting, parse_annotation
from hf_strategies.errors import UserError

TOPIC = "transformers.TrainingArguments"
SOURCES = ("training_args.py", "trainer_utils.py")
# An object of accelerate's, not a value that a flag can carry; accelerate_configs/ says it.
NOT_SETTINGS = {"parallelism_config"}
# Settings that take more here than in the host, which gets what it knows; and what their help must add.
WIDENED = {"warmup_steps": ("str", 'Also tokens or epochs: "2M tokens", "1 epoch".')}


@cache
def host_settings() -> tuple[Setting, ...]:
    """List every setting of the installed `TrainingArguments`.

    Raises:
        UserError: transformers is not installed.
    """
    found = importlib.util.find_spec("transformers")
    if found is None or found.origin is None:
        raise UserError("transformers is not installed: pip install 'transformers>=5.17'")
    trees = [ast.parse((Path(found.origin).parent / name).read_text(encoding="utf-8")) for name in SOURCES]
    classes = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}
    enums = {name: _enum_values(node) for name, node in classes.items() if _is_enum(node)}
    return tuple(
        _setting(node, enums)
        for node in classes["TrainingArguments"].body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id not in NOT_SETTINGS
    )


def _setting(node: ast.AnnAssign, enums: dict[str, tuple[str, ...]]) -> Setting:
    assert isinstance(node.target, ast.Name)
    arguments = {item.arg: item.value for item in node.value.keywords} if isinstance(node.value, ast.Call) else {}
    metadata = _literal(arguments.get("metadata"))
    help_text = metadata.get("help", "") if isinstance(metadata, dict) else ""
    if "default_factory" in arguments:
        default: Any = [] if ast.unparse(arguments["default_factory"]) == "list" else UNKNOWN
    else:
        default = _literal(arguments.get("default"))
    shape = parse_annotation(ast.unparse(node.annotation), enums)
    if node.target.id in WIDENED:
        kind, more_help = WIDENED[node.target.id]
        shape["types"] += (kind,)
        help_text += f" {more_help}"
    return Setting(
        name=node.target.id,
        default=default,
        help=re.sub(r"\s+", " ", help_text).replace("%%", "%").strip(),
        topic=TOPIC,
        **shape,
    )


def _literal(node: ast.expr | None) -> Any:
    """Evaluate a literal; `UNKNOWN` for anything that takes code to compute."""
    if node is None:
        return UNKNOWN
    try:
        return ast.literal_eval(node)
    except ValueError:
        return UNKNOWN


def _is_enum(node: ast.ClassDef) -> bool:
    return any(isinstance(parent, ast.Name) and parent.id.endswith("Enum") for parent in node.bases)


def _enum_values(node: ast.ClassDef) -> tuple[str, ...]:
    values = (_literal(item.value) for item in node.body if isinstance(item, ast.Assign))
    return tuple(value for value in values if isinstance(value, str))
