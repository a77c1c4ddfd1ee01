"""What `import hf_strategies` offers: every name is there, and none costs anything before it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hf_strategies
from hf_strategies.callbacks import CALLBACKS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", hf_strategies.__all__)
def test_every_public_name_is_there(name):
    found = getattr(hf_strategies, name)
    assert name in dir(hf_strategies)
    assert getattr(found, "__name__", name) == name


def test_what_a_type_checker_sees_is_what_is_imported():
    tree = ast.parse((ROOT / "hf_strategies" / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {name.name: node.module for node in block.body for name in node.names}
    assert seen == {name: f"hf_strategies.{room}" for name, room in hf_strategies._ROOM_OF.items()}
    assert {*seen, "__version__"} == set(hf_strategies.__all__)


@pytest.mark.parametrize("entry", CALLBACKS, ids=lambda entry: entry.name)
def test_every_callback_is_public(entry):
    assert getattr(hf_strategies, entry.build.__name__) is entry.build


def test_the_import_alone_loads_no_library():
    code = "import sys, hf_strategies; print({'torch', 'transformers', 'numpy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'MuonTrainer'"):
        hf_strategies.MuonTrainer  # noqa: B018
