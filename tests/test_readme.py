"""What the README shows is what the package does."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from transformers import TrainingArguments

from hf_strategies.__main__ import list_shelves
from hf_strategies.arguments import parse_arguments

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line.partition("scripts/pretrain.py")[2], comments=True)
    for line in README.splitlines()
    if "launch scripts/pretrain.py" in line or "8 scripts/pretrain.py" in line
]


def fenced(language: str, containing: str) -> str:
    (found,) = [block for block in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if containing in block]
    return found


def test_the_three_lines_for_a_plain_trainer_train(tiny_lm, token_rows, tmp_path):
    args = TrainingArguments(
        tmp_path, max_steps=2, use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="no"
    )
    before = tiny_lm.model.layers[0].mlp.up_proj.weight.clone()
    scope = {"model": tiny_lm, "args": args, "dataset": token_rows}
    exec(fenced("python", "OptimizerFactory"), scope)
    assert type(scope["trainer"].optimizer.optimizer).__name__ == "Muon"
    assert not torch.equal(tiny_lm.model.layers[0].mlp.up_proj.weight, before)


def test_the_shelves_are_listed_as_they_are():
    shown = re.search(r"<!-- shelves -->\n```\n(.*?)```\n<!-- end of shelves -->", README, re.DOTALL)
    assert shown is not None
    assert shown[1] == "\n".join(list_shelves([]))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_parses(words, tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(fenced("yaml", "recipe: pretrain"))
    monkeypatch.chdir(tmp_path)
    if "--cooldown_from" in words:
        checkpoint = tmp_path / words[words.index("--cooldown_from") + 1]
        checkpoint.mkdir(parents=True)
        (checkpoint / "trainer_state.json").write_text("{}")
        (checkpoint.parent / "resolved_config.yaml").write_text("architecture: gpt2\n")
    parse_arguments(words, description="", default_recipe="pretrain")


def test_there_are_commands_to_check():
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_linked_file_is_there(path):
    assert (ROOT / path).is_file()
