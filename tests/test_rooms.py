"""The house rules: imports flow one way, files stay small, nothing in scripts/ hides a library."""

import ast
import importlib.metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hf_strategies"
# A room may import only rooms on floors before its own; rooms on one floor never see each other.
FLOORS = [
    {"errors", "ranges", "version"},
    {"registry"},
    {"randomness", "distributed"},
    {"module_tree"},
    {"schedulers", "optimizers", "models", "augmentation", "adapters", "objectives", "metrics"},
    {"data", "checkpoints", "reports"},
    {"tasks", "prompting"},
    {"callbacks"},
    {"training"},
    {"arguments"},
    {"runs"},
    {"planning"},
]
FILES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_imported_by(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = (
                [node.module] if node.module != "hf_strategies" else [f"hf_strategies.{a.name}" for a in node.names]
            )
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        found |= {module.split(".")[1] for module in modules if module.startswith("hf_strategies.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_flow_down(path):
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return
    (floor,) = [number for number, rooms in enumerate(FLOORS) if room in rooms]
    allowed = set().union(*FLOORS[:floor]) | {room}
    assert rooms_imported_by(path) <= allowed


def test_the_map_has_a_place_for_every_room():
    rooms = {room_of(path) for path in FILES} - {"__init__", "__main__"}
    assert rooms <= set().union(*FLOORS)


def test_no_file_outgrows_its_room():
    long = {str(path): lines for path in FILES + SCRIPTS if (lines := len(path.read_text().splitlines())) > 300}
    assert not long


def test_no_script_hides_a_library_that_is_imported_beside_it():
    libraries = set(importlib.metadata.packages_distributions())
    names = {path.stem if path.is_file() else path.name for path in (ROOT / "scripts").iterdir()}
    assert not names & libraries
