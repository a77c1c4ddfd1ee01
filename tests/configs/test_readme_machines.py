"""What the README says of machines is what the files are."""

import re
import shlex
from pathlib import Path

import pytest
from accelerate.commands.launch import launch_command_parser

from hf_strategies.arguments import parse_arguments
from tests.configs.machine_classes import LAUNCHED, ON_ONE_GPU

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line.partition("accelerate launch ")[2], comments=True)
    for line in README.replace("\\\n", " ").splitlines()
    if line.startswith("accelerate launch --config_file")
]


def table() -> str:
    rows = []
    for path in sorted((ROOT / "accelerate_configs").glob("*.yaml")):
        when = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        tried = "launched" if path.stem in LAUNCHED else "one GPU" if path.stem in ON_ONE_GPU else "parsed"
        rows.append(f"| `{path.stem}` | {when} | {tried} |\n")
    return "| `accelerate_configs/` | when | tried |\n|---|---|---|\n" + "".join(rows)


def test_the_table_lists_every_machine_and_how_far_it_is_tried():
    shown = re.search(r"<!-- machines -->\n(.*?)<!-- end of machines -->", README, re.DOTALL)
    assert shown is not None
    assert shown[1] == table()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_names_a_machine_and_parses(words):
    launcher = launch_command_parser().parse_args(words)
    assert (ROOT / launcher.config_file).is_file()
    assert (ROOT / launcher.training_script).is_file()
    parse_arguments(launcher.training_script_args, description="", default_recipe="pretrain")


def test_there_are_commands_to_check():
    assert len(COMMANDS) >= 5
    assert {"0", "1"} <= {words[words.index("--machine_rank") + 1] for words in COMMANDS if "--machine_rank" in words}
