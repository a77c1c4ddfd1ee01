"""Names of the Hub, found in the Hub client's cache without a network: by each script, and by images as by texts."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification

ROOT = Path(__file__).parents[2]
REVISION = "0123456789abcdef0123456789abcdef01234567"
NAME = "someone/tiny"


@pytest.fixture
def on_hub_name(tmp_path):
    """Lay a checkpoint out as the Hub client does, run a script on its name; returns what it says and its folder."""

    def run(checkpoint: Path | str, script: str, *flags: str) -> tuple[str, Path]:
        repository, folder = tmp_path / "hub" / "hub" / "models--someone--tiny", tmp_path / "named"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(REVISION)
        shutil.copytree(checkpoint, repository / "snapshots" / REVISION, ignore=shutil.ignore_patterns("checkpoint-*"))
        done = subprocess.run(
            [
                sys.executable,
                f"scripts/{script}.py",
                *flags,
                "--model_name_or_path",
                NAME,
                "--output_dir",
                str(folder),
            ],
            cwd=ROOT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert f"model     {NAME}" in done.stdout
        return done.stdout, folder

    return run


@pytest.fixture
def rows(tmp_path) -> str:
    path = tmp_path / "rows.jsonl"
    lines = [{"text": f"it was {word} {n}", "label": word} for n in range(16) for word in ("big", "little")]
    path.write_text("\n".join(map(json.dumps, lines)))
    return str(path)


def test_pretraining_goes_on_from_one(pretrain, corpus, tiny, on_hub_name):
    _, made = pretrain("--max_steps", "2")
    _, folder = on_hub_name(made, "pretrain", tiny, "--max_steps", "2", "--train_file", str(corpus))
    assert f"base_model: {NAME}" in (folder / "README.md").read_text()


def test_texts_are_learned_by_one(text_checkpoint, rows, on_hub_name):
    flags = ["--task", "text-classification", "--train_file", rows, "--num_train_epochs", "1", "--use_cpu"]
    said, folder = on_hub_name(text_checkpoint("bert"), "finetune", *flags)
    assert "recipe small_data" in said
    assert f"base_model: {NAME}" in (folder / "README.md").read_text()
    assert (folder / "tokenizer_config.json").exists()


def test_images_are_learned_by_one(tmp_path, on_hub_name):
    pytest.importorskip("kornia", reason="images are changed by kornia")
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=12, patch_size=4
    )
    ViTForImageClassification(config).save_pretrained(tmp_path / "vit")
    few = ["--max_train_samples", "32", "--max_eval_samples", "16", "--num_train_epochs", "1", "--use_cpu"]
    said, folder = on_hub_name(tmp_path / "vit", "finetune", "--task", "image-classification", *few)
    assert "recipe vit_finetune" in said
    assert json.loads((folder / "config.json").read_text())["image_size"] == 12


def test_texts_are_scored_by_one(real_data, rows, on_hub_name):
    said, folder = on_hub_name(
        real_data("stories260K"), "score", "--train_file", rows, "--prompt_template", "{text}\nIt is", "--use_cpu",
        "--shots", "0",
    )  # fmt: skip
    assert "words     big: big, little: little" in said
    assert "eval_accuracy" in (folder / "all_results.json").read_text()
