"""What the README shows is what the package does."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from transformers import (
    DataCollatorForTokenClassification,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
)

from hf_strategies.__main__ import list_shelves
from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.tuning_topics import FINETUNE, PRETRAIN, SCORE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    (job, shlex.split(line.partition(f"scripts/{job}.py")[2], comments=True))
    for line in README.replace("\\\n", " ").splitlines()
    for job in (PRETRAIN, FINETUNE, SCORE)
    if re.search(rf"(launch|8|python) scripts/{job}\.py", line)
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


def test_the_lines_for_an_adapter_and_an_average_train(tiny_lm, token_rows, tmp_path):
    args = TrainingArguments(
        tmp_path, max_steps=3, use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="no"
    )
    scope = {"model": tiny_lm, "args": args, "dataset": token_rows}
    exec(fenced("python", "create_adapter"), scope)
    assert scope["trainer"].pop_callback(scope["WeightAveragingCallback"]).count == 3
    assert any("lora_A" in name for name, param in scope["model"].named_parameters() if param.requires_grad)


def test_the_lines_for_texts_that_change_train_on_changed_texts(tiny_lm, byte_tokenizer, tmp_path):
    seen = []

    def encode(row):
        seen.append(row["text"])
        tokens = byte_tokenizer(row["text"])["input_ids"][:16]
        return {"input_ids": tokens, "labels": tokens}

    args = TrainingArguments(tmp_path, max_steps=4, use_cpu=True, report_to="none", disable_tqdm=True)
    rows = [{"text": f"row {number} has some words of its own"} for number in range(8)]
    collator = DataCollatorForTokenClassification(byte_tokenizer)
    exec(
        fenced("python", "AugmentedRows"),
        {"model": tiny_lm, "args": args, "rows": rows, "encode": encode, "collator": collator},
    )
    assert len(set(seen) - {row["text"] for row in rows}) > 8


def test_the_lines_for_images_that_change_train_on_changed_images(tmp_path):
    args = TrainingArguments(tmp_path, max_steps=4, use_cpu=True, report_to="none", disable_tqdm=True)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=8, patch_size=4,
        num_channels=1, num_labels=10,
    )  # fmt: skip
    images = torch.randint(0, 256, (16, 1, 8, 8), dtype=torch.uint8)
    scope = {
        "model": ViTForImageClassification(config),
        "args": args,
        "images": images,
        "labels": [*range(10)] + [0] * 6,
    }
    exec(fenced("python", "AugmentedImages"), scope)
    assert scope["trainer"].state.global_step == 4
    train, collate = scope["train"], scope["collate"]
    plain, drawn = collate([train[3]]), collate([train.draw(3, 1)])
    torch.testing.assert_close(plain["pixel_values"], (images[3:4] / 255 - 0.5) / 0.5)
    assert plain["labels"].tolist() == [3]
    assert not torch.equal(drawn["pixel_values"], plain["pixel_values"])
    assert drawn["labels"].shape == (1, 10)


def test_the_shelves_are_listed_as_they_are():
    shown = re.search(r"<!-- shelves -->\n```\n(.*?)```\n<!-- end of shelves -->", README, re.DOTALL)
    assert shown is not None
    assert shown[1] == "\n".join(list_shelves([]))


@pytest.mark.parametrize(("job", "words"), COMMANDS, ids=map(str, COMMANDS))
def test_every_command_parses(job, words, tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(fenced("yaml", "recipe: pretrain"))
    monkeypatch.chdir(tmp_path)
    for run in words[words.index("--compare") + 1 :] if "--compare" in words else ():
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "all_results.json").write_text("{}")
    if "--cooldown_from" in words:
        checkpoint = tmp_path / words[words.index("--cooldown_from") + 1]
        checkpoint.mkdir(parents=True)
        (checkpoint / "trainer_state.json").write_text("{}")
        (checkpoint.parent / "resolved_config.yaml").write_text("architecture: gpt2\n")
    parse_arguments(words, description="", default_recipe=job, job=job)


def test_the_settings_shown_for_fine_tuning_are_settings(tmp_path):
    path = tmp_path / "tuned.yaml"
    path.write_text(fenced("yaml", "recipe: small_data"))
    words = [str(path), "--task", "text-classification"]
    read = parse_arguments(words, description="", default_recipe=FINETUNE, job=FINETUNE)
    assert read.recipe == "small_data"
    assert read.regularization.averaging == "ema"


TUNING = README.partition("## Prompt, adapter")[0]


@pytest.mark.parametrize("flags", re.findall(r"`(--[a-z_]+ [a-zA-Z0-9_.]+)`", TUNING))
def test_every_flag_shown_for_fine_tuning_parses(flags):
    needed = ["--task", "text-classification", "--model_name_or_path", "bert-base-cased", "--adapter", "lora"]
    words = flags.split()
    kept = needed[:4] if words[0] in ("--adapter", "--freeze") else needed
    parse_arguments([*kept, *words], description="", default_recipe="finetune", job=FINETUNE)


def test_there_are_commands_to_check():
    assert sum(job == PRETRAIN for job, _ in COMMANDS) >= 8
    assert sum(job == FINETUNE for job, _ in COMMANDS) == 8
    assert sum(job == SCORE for job, _ in COMMANDS) == 1


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_linked_file_is_there(path):
    assert (ROOT / path).is_file()
